"""The configuration: one definition that validates the YAML, documents every key and feeds the code typed values.

A YAML file states only what differs from the defaults given here. A section, such as `pretrain`, reaches a subcommand as
`--settings`, so that whatever decides a result stands in the parameters of the Snakemake rule that makes it.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from molclr.errors import MolclrError

Ratio = Annotated[float, Field(ge=0, lt=1)]


def _no_other_number(value: Any) -> Any:
    """Refuse true and 5.0, which Python would take for whole numbers; "5" is how the command line writes 5."""
    if isinstance(value, bool | float):
        raise ValueError("input should be a valid integer")
    return value


Whole = Annotated[int, BeforeValidator(_no_other_number)]
PositiveInt = Annotated[Whole, Field(ge=1)]
Seed = Annotated[Whole, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]


def _without_repetition(values: list) -> list:
    repeated = {value for value in values if values.count(value) > 1}
    if repeated:
        raise ValueError(f"{sorted(repeated)} stands twice")
    return values


Item = TypeVar("Item")
Distinct = Annotated[list[Item], Field(min_length=1), AfterValidator(_without_repetition)]

ModelName = Literal["MolCLR_GIN", "MolCLR_GCN", "GIN", "GCN", "RF", "SVM"]
EncoderName = Literal["gin", "gcn"]
ReleasedName = Literal["official-gin", "official-gcn"]
ShippedName = Literal["molclr-gin"]
DEFAULT_ENCODER: ShippedName = "molclr-gin"
"""The encoder of commands and of Python where none is named; the workflow pre-trains and names its own."""


class Section(BaseModel):
    """A part of the configuration: frozen, and unknown keys are errors.

    Keys that cannot change a result are excluded from `model_dump`: what is dumped is what decides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Corpus(Section):
    """The unlabelled molecules of pre-training."""

    name: str = Field("zinc", description="a corpus of the catalogue: zinc or pubchem")
    molecules: PositiveInt | None = Field(None, description="how many rows to take, evenly spaced; null: all")
    exclude: Literal["molecules", "scaffolds"] | None = Field(
        None,
        description="leave out the benchmarks' test molecules, or all molecules with the scaffold of one; null: nothing",
    )


class EncoderShape(Section):
    """Shape of the graph neural network (paper, Methods; official config.yaml)."""

    layers: PositiveInt = Field(5, description="message-passing layers")
    width: PositiveInt = Field(300, description="channels of an atom's vector")
    feature: PositiveInt = Field(512, description="channels of the representation h")
    gcn_normalization: bool = Field(
        True, description="GCN: edges weighted by the degrees of their atoms (Kipf & Welling, 2017); official: false"
    )


class EncoderChoice(EncoderShape):
    """A shape, or instead of it the name of an encoder that the authors released: its shape, and no pre-training."""

    released: ReleasedName | None = Field(
        None, exclude=True, description="weights of the authors: the name alone says it"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if not isinstance(value, str):
            if isinstance(value, dict) and "released" in value:
                raise ValueError("an encoder that was released is named in place of all keys: 'encoder: official-gcn'")
            return value
        if value not in get_args(ReleasedName):
            raise ValueError(f"input should be keys of a shape, or {' or '.join(get_args(ReleasedName))}")
        return {"released": value, "gcn_normalization": False}


class Augmentation(Section):
    """How a view of a molecule is made (paper, Methods, 'Molecule graph augmentation')."""

    composition: Literal["node", "subgraph", "mix"] = Field(
        "node", description="node: masking and deletion; subgraph: removal; mix: removal, then masking and deletion"
    )
    atom_masking: Ratio = Field(0.25, description="share of a molecule's atoms that is masked")
    bond_deletion: Ratio = Field(0.25, description="share of a molecule's bonds that is deleted")
    subgraph_removal: Ratio = Field(
        0.25, description="share of atoms removed as one subgraph; in mix the largest share"
    )
    subgraph_keeps_rings: bool = Field(
        True, description="subgraph: bonds that close rings stay if both atoms do; official: false"
    )


class Compute(Section):
    """Where and how tensors are computed."""

    device: str = Field("auto", description="auto: a GPU if there is one; cpu; cuda; cuda:0")
    threads: PositiveInt = Field(1, description="CPU threads of one job; sums of floats depend on it in the last digit")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16: mixed precision")
    gpus: Whole = Field(0, ge=0, le=1, exclude=True, description="GPUs that a job of the workflow asks for")

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
            raise ValueError("input should be auto, cpu, cuda or one of cuda:0, cuda:1, ...")
        return device


class Pretrain(Compute):
    """Contrastive pre-training (paper, Methods, 'Training details')."""

    epochs: PositiveInt = Field(50, description="passes over the corpus")
    batch_size: Annotated[Whole, Field(ge=2)] = Field(
        512, description="molecules in a step, on however many devices; negatives are 2 (B - 1)"
    )
    learning_rate: PositiveFloat = Field(5e-4, description="highest rate of Adam")
    weight_decay: float = Field(1e-5, ge=0, description="strength of the weight decay")
    decay: Literal["l2", "decoupled"] = Field(
        "decoupled",
        description="decoupled: AdamW on the weight matrices; l2: a penalty in the gradient of all weights, the official one",
    )
    warmup_epochs: Whole = Field(10, ge=0, description="epochs of warm-up before the cosine")
    warmup: Literal["linear", "flat"] = Field(
        "linear", description="linear: rising to the highest rate; flat: at that rate from the first, the official one"
    )
    temperature: PositiveFloat = Field(0.1, description="temperature of NT-Xent")
    projection: PositiveInt = Field(256, description="channels of z, on which the loss acts")
    dropout: Ratio = Field(0.0, description="dropout in the encoder")
    validation_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.05, description="share of the corpus held out")
    seed: Seed = Field(0, description="decides initial weights, batches and augmentations")
    augmentation: Augmentation = Field(default_factory=Augmentation, description="how views are made")
    gpus: Whole = Field(0, ge=0, exclude=True, description="GPUs that the job asks for; above 1, a process for each")
    checkpoint_seconds: float = Field(300.0, ge=0, exclude=True, description="time between checkpoints; 0: each step")


class Finetune(Compute):
    """Supervised training on one benchmark, of a pre-trained encoder or from scratch."""

    epochs: PositiveInt = Field(100, description="passes over the training molecules")
    batch_size: Annotated[Whole, Field(ge=2)] = Field(32, description="molecules in a step")
    encoder_learning_rate: PositiveFloat = Field(1e-4, description="rate of Adam for a pre-trained encoder")
    head_learning_rate: PositiveFloat = Field(5e-4, description="rate of Adam for the head")
    new_encoder_rate: Literal["head", "encoder"] = Field(
        "head",
        description="whose rate an encoder from scratch learns at: the head's, or a pre-trained one's; official: encoder",
    )
    weight_decay: float = Field(1e-6, ge=0, description="L2 penalty of Adam")
    dropout: Ratio = Field(0.3, description="dropout in the encoder")
    head_layers: PositiveInt = Field(2, description="hidden layers of the head, of half the feature's width")
    activation: Literal["softplus", "relu"] = Field("softplus", description="activation in the head")
    class_outputs: Annotated[Whole, Field(ge=1, le=2)] = Field(
        1, description="outputs a classified target: 1, with a sigmoid; official: 2, with a softmax"
    )
    standardize: Literal["all"] | list[str] = Field(
        "all", description="regression benchmarks whose targets are standardised; official: [qm7, qm9]"
    )


class Baselines(Section):
    """Random forest and support vector machine on ECFP4 counts."""

    trees: PositiveInt = Field(500, description="trees of the random forest")
    threads: PositiveInt = Field(1, exclude=True, description="CPU threads of one forest")
    svm_training_limit: PositiveInt = Field(20000, description="training molecules beyond which the SVM takes a sample")


class Figures(Section):
    """What the figures show."""

    molecules: PositiveInt = Field(2000, description="held-out corpus molecules that are embedded")
    property: Literal["molecular_weight", "logp", "tpsa", "rings"] = Field("logp", description="colour of the t-SNE")
    neighbours: PositiveInt = Field(8, description="neighbours in the retrieval panel")


class Config(Section):
    """A whole run of the workflow."""

    results: str = Field(
        "results",
        description="folder of everything that is computed from the data: results or a folder in it, but not published",
    )
    mirror: str | None = Field(None, description="folder with copies of data sets; MOLCLR_MIRROR goes before it")
    corpus: Corpus = Field(default_factory=Corpus, description="molecules to pre-train on")
    benchmarks: Distinct[str] = Field(description="benchmarks of the catalogue")
    benchmark_molecules: PositiveInt | None = Field(None, description="rows to take of each benchmark; null: all")
    drop_first_row: bool = Field(False, description="leave out the first row of each benchmark; official: true")
    one_model_a_target: bool = Field(
        False,
        description="of several targets a model each, on the molecules with its label and their split; official: true",
    )
    explicit_hydrogens: bool = Field(False, description="hydrogens of benchmarks as atoms; official: true")
    models: Distinct[ModelName] = Field(description="rows of the tables, as the paper calls them")
    seeds: Distinct[Seed] = Field(default=[0, 1, 2], description="seeds of every model")
    seeds_of: dict[str, Distinct[Seed]] = Field({}, description="seeds of a benchmark, where they are not `seeds`")
    encoder: EncoderChoice = Field(
        default_factory=EncoderChoice, description="shape of GIN and GCN; or official-gin, official-gcn"
    )
    pretrain: Pretrain = Field(default_factory=Pretrain, description="pre-training")
    finetune: Finetune = Field(default_factory=Finetune, description="fine-tuning")
    search_trials: Annotated[Whole, Field(ge=1, le=192)] | None = Field(
        None, description="settings that a random search tries for each benchmark and network; null: those of finetune"
    )
    baselines: Baselines = Field(default_factory=Baselines, description="baselines")
    figures: Figures = Field(default_factory=Figures, description="figures")

    @field_validator("results")
    @classmethod
    def _is_a_folder_for_results(cls, folder: str) -> str:
        if not re.fullmatch(r"results(/[A-Za-z0-9_-]+)*", folder):
            raise ValueError(
                "input should be results or a folder in it, such as results/mine, of letters, digits, - and _"
            )
        if folder.split("/")[1:2] == ["published"]:
            raise ValueError("no run writes into results/published")
        return folder

    @model_validator(mode="after")
    def _suits_a_released_encoder(self) -> "Config":
        released = self.encoder.released
        wanted = f"MolCLR_{released.removeprefix('official-').upper()}" if released else None
        for model in self.models:
            if wanted and model.startswith("MolCLR_") and model != wanted:
                raise ValueError(f"the encoder {released} is that of {wanted}; take {model} out of 'models'")
        if released and self.corpus.exclude:
            raise ValueError(f"{released} is trained already; take 'corpus.exclude' out, which cannot change it")
        return self


AnySection = TypeVar("AnySection", bound=Section)


def parse_section(section: type[AnySection], values: Any, source: str) -> AnySection:
    """Validate `values` as a `section`. A mistake raises MolclrError: one sentence that names `source` and the key."""
    try:
        return section.model_validate(values if values is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise MolclrError(f"{source}: the key '{key}' is missing.") from None
        if first["type"] == "extra_forbidden":
            known = ", ".join(_fields_beside(section, first["loc"]))
            raise MolclrError(f"{source}: unknown key '{key}'; known here are {known}.") from None
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "value_error" and isinstance(first["input"], dict):  # What keys say of each other.
            where = f"'{key}': " if key else ""
        else:
            given = first["input"] if not isinstance(first["input"], dict) else "{...}"
            where = f"'{key}' is {given!r}: "
        raise MolclrError(f"{source}: {where}{message[:1].lower()}{message[1:]}.") from None


def parse_settings(section: type[AnySection], text: str, option: str = "--settings") -> AnySection:
    """Validate an argument of `option`: inline YAML (or JSON), or the path of a YAML file.

    The file has the keys of this section, or is a configuration of the workflow that has this section.
    """
    source = option
    if text.endswith((".yaml", ".yml")):
        path = Path(text)
        if not path.is_file():
            raise MolclrError(f"{option}: there is no file '{text}'.")
        source, text = text, path.read_text()
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = text
    if not isinstance(values, dict | None):
        raise MolclrError(f"{source}: this has no keys of YAML; write {{key: value}}, or name a YAML file.")
    name = _name_in_configuration(section)
    if values and name in values and set(values) <= set(Config.model_fields):
        source, values = f"{source}, {name}", values[name]
    return parse_section(section, values, source)


def _name_in_configuration(section: type[Section]) -> str | None:
    """Key of a configuration under which a section stands, if there is one and no other of its kind."""
    kinds = {name: field.annotation for name, field in Config.model_fields.items()}
    names = [name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, section)]
    return names[0] if len(names) == 1 else None


def _fields_beside(section: type[Section], location: tuple[str | int, ...]) -> list[str]:
    """Names of the fields that stand where the unknown key `location` does."""
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            section = annotation
    return list(section.model_fields)
