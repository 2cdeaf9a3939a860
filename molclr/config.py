"""The configuration: one definition that validates the YAML, documents every key and feeds the code typed values.

A YAML file states only what differs from the defaults given here. A section, such as `pretrain`, reaches a subcommand as
`--settings`, so that whatever decides a result stands in the parameters of the Snakemake rule that makes it.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from molclr.errors import MolclrError
from molclr.imports import is_dotted_path

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
SplitName = Annotated[str, Field(pattern=r"^[a-z_]+(-\d+)?$")]
"""A scheme, and the seed where it has one."""


def _without_repetition(values: list) -> list:
    repeated = {value for value in values if values.count(value) > 1}
    if repeated:
        raise ValueError(f"{sorted(repeated)} stands twice")
    return values


Item = TypeVar("Item")
Distinct = Annotated[list[Item], Field(min_length=1), AfterValidator(_without_repetition)]

ModelName = Literal["MolCLR_GIN", "MolCLR_GCN", "GIN", "GCN", "RF", "SVM"]
EncoderName = str
"""A key of the table in molclr/models/encoders.py, such as gin, or the path of the user's class, such as my_package.gat:GAT."""
ReleasedName = Literal["official-gin", "official-gcn"]
ShippedName = Literal["molclr-gin"]
DEFAULT_ENCODER: ShippedName = "molclr-gin"
"""The encoder of commands and of Python where none is named; the workflow pre-trains and names its own."""


PRETRAINED = "MolCLR_"
"""Begins the name of a model that starts from a pre-trained encoder."""


def model_name(encoder: EncoderName, pretrained: bool) -> str:
    """The name of a network in the tables: GIN for gin, GAT for my_package.gat:GAT; MolCLR_GIN and MolCLR_GAT if pre-trained."""
    network = encoder.rpartition(":")[2] if is_dotted_path(encoder) else encoder.upper()
    return f"{PRETRAINED}{network}" if pretrained else network


class Section(BaseModel):
    """A part of the configuration: frozen, and unknown keys are errors.

    What `model_dump` gives of a section decides results, except of `Run`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Labels(Section):
    """What the labels of a benchmark mean, and how it is split and scored."""

    name: str = Field("", description="name in tables and figures")
    task: Literal["classification", "regression"] = Field(description="kind of the labels")
    metric: str = Field(description="primary metric: a name in molclr/evaluation/metrics.py")
    split: SplitName = Field(
        "scaffold", description="scheme in molclr/data/splits.py, and its seed: scaffold, random-0"
    )
    targets: tuple[str, ...] = Field(min_length=1, description="columns with labels, in order")
    unit: str | dict[str, str] = Field("", description="unit of all targets, or target -> unit; empty: none")

    @field_validator("unit")
    @classmethod
    def _unit_of_every_target(cls, unit: str | dict[str, str], info: ValidationInfo) -> str | dict[str, str]:
        if isinstance(unit, dict) and set(unit) != set(info.data.get("targets", unit)):
            raise ValueError("'unit' has to name every target and nothing else")
        return unit

    @property
    def scheme(self) -> str:
        """The scheme of `split`, without its seed."""
        return self.split.partition("-")[0]

    def unit_of(self, target: str) -> str:
        """Return the unit of `target`, empty if it has none."""
        return self.unit if isinstance(self.unit, str) else self.unit[target]


class OwnBenchmark(Labels):
    """A benchmark of one's own: a table of molecules with labels."""

    table: str = Field(description="path of the table: CSV, Excel, SDF, Parquet or .smi, compressed or not")
    smiles_column: str = Field("smiles", description="column with the SMILES")
    split_column: str = Field(
        "subset", description="with `split: given` the column of the table that says train, valid or test of each row"
    )

    @model_validator(mode="after")
    def _one_split(self) -> "OwnBenchmark":
        if self.split_column != "subset" and self.split != "given":
            raise ValueError("'split_column' is read only with 'split: given'; set that, or take 'split_column' out")
        return self


class OwnBenchmarks(Section):
    """Benchmarks that the catalogue does not have."""

    own_benchmarks: dict[str, OwnBenchmark] = Field({}, description="benchmarks of one's own, by name")

    @field_validator("own_benchmarks")
    @classmethod
    def _named(cls, benchmarks: dict[str, OwnBenchmark]) -> dict[str, OwnBenchmark]:
        for name in benchmarks:
            if not re.fullmatch(r"[A-Za-z0-9_-]+(?<!-)", name) or re.search(r"-\d+$", name):
                raise ValueError(
                    f"'{name}' becomes the name of files; take letters, digits, - and _, and no number after the last -"
                )
        return {name: own.model_copy(update={"name": own.name or name}) for name, own in benchmarks.items()}


class Corpus(Section):
    """The unlabelled molecules of pre-training."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = Field(
        "zinc", description="a corpus of the catalogue, zinc or pubchem; or with `table` the name of one's own"
    )
    table: str | None = Field(
        None, description="path of a corpus of one's own: CSV, .smi, SDF, Parquet or Excel, compressed or not"
    )
    smiles_column: str = Field("smiles", description="column with the SMILES of that table")
    molecules: PositiveInt | None = Field(None, description="how many rows to take, evenly spaced; null: all")
    exclude: Literal["molecules", "scaffolds"] | None = Field(
        None,
        description="leave out the benchmarks' test molecules, or all molecules with the scaffold of one; null: nothing",
    )


class EncoderShape(Section):
    """Shape of the graph neural network (paper, Methods; official config.yaml)."""

    layers: PositiveInt = Field(5, description="message-passing layers")
    hidden_dim: PositiveInt = Field(300, description="channels of an atom's vector")
    embedding_dim: PositiveInt = Field(512, description="channels of the representation h")
    gcn_normalization: bool = Field(
        True, description="GCN: edges weighted by the degrees of their atoms (Kipf & Welling, 2017); official: false"
    )


class EncoderChoice(EncoderShape):
    """A shape, or instead of it the name of an encoder that the authors released: its shape, and no pre-training."""

    name: str | None = Field(
        None,
        exclude=True,
        description="an encoder beside gin and gcn: the path of your own class, such as my_package.gat:GAT, whose models are "
        "MolCLR_GAT and GAT",
    )
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

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not (name.isidentifier() or is_dotted_path(name)):
            raise ValueError("input should be the path of a class, such as my_package.gat:GAT")
        return name


def _is_a_composition(value: Any) -> Any:
    """Reject what is neither the name of a preset nor a list of augmentations; whether each exists is known where they are."""
    steps = value if isinstance(value, list) and value else [value]
    as_wanted = all(
        isinstance(step, dict)
        and len(step) == 1
        and all(isinstance(ratio, int | float) and 0 <= ratio < 1 for ratio in step.values())
        for step in steps
    )
    if not (value in ("node", "subgraph", "mix") or as_wanted):
        raise ValueError(
            "input should be node, subgraph, mix or a list of augmentations with ratios from 0 to below 1, such as "
            "[{subgraph_removal: 0.1}, {atom_masking: 0.25}]"
        )
    return value


class Augmentation(Section):
    """How a view of a molecule is made (paper, Methods, 'Molecule graph augmentation')."""

    composition: Annotated[str | list[dict[str, float]], BeforeValidator(_is_a_composition)] = Field(
        "node",
        description="node: masking and deletion; subgraph: removal; mix: removal, then masking and deletion; or a list of "
        "augmentations with ratios, in order, which leaves the keys below without effect",
    )
    atom_masking: Ratio = Field(0.25, description="fraction of a molecule's atoms that is masked")
    bond_deletion: Ratio = Field(0.25, description="fraction of a molecule's bonds that is deleted")
    subgraph_removal: Ratio = Field(
        0.25, description="fraction of atoms removed as one subgraph; in mix the largest fraction"
    )
    subgraph_keeps_rings: bool = Field(
        True, description="subgraph: bonds that close rings stay if both atoms do; official: false"
    )


class Compute(Section):
    """Where and how tensors are computed."""

    device: str = Field("auto", description="auto: a GPU if there is one; cpu; cuda; cuda:0")
    threads: PositiveInt = Field(1, description="CPU threads of one job; sums of floats depend on it in the last digit")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16: mixed precision")

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
    loss: str = Field(
        "nt_xent",
        description="a name in molclr/models/nt_xent.py, or the path of one's own, such as my_package.losses:cross_view",
    )
    temperature: PositiveFloat = Field(0.1, description="temperature of the loss")
    projection: PositiveInt = Field(256, description="channels of z, on which the loss acts")
    dropout: Ratio = Field(0.0, description="dropout in the encoder")
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="fraction of the corpus held out"
    )
    seed: Seed = Field(0, description="decides initial weights, batches and augmentations")
    augmentation: Augmentation = Field(default_factory=Augmentation, description="how views are made")

    def functions(self) -> list[str]:
        """Names of the functions that decide what is learned; some may be paths of the user's own."""
        composition = self.augmentation.composition
        steps = composition if isinstance(composition, list) else []
        return [self.loss, *(name for step in steps for name in step)]


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
    head_layers: PositiveInt = Field(2, description="hidden layers of the head, of half as many channels as h")
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
    svm_training_limit: PositiveInt = Field(20000, description="training molecules beyond which the SVM takes a sample")


class Figures(Section):
    """What the figures show."""

    molecules: PositiveInt = Field(2000, description="held-out corpus molecules that are embedded")
    property: Literal["molecular_weight", "logp", "tpsa", "rings"] = Field("logp", description="colour of the t-SNE")
    neighbours: PositiveInt = Field(8, description="neighbours in the retrieval panel")


class Run(Section):
    """How jobs run. None of it changes a result, so neither parameters of a rule nor dvc.lock contain it."""

    pretrain_gpus: Whole = Field(0, ge=0, description="GPUs that pre-training asks for; above 1, a process for each")
    finetune_gpus: Whole = Field(0, ge=0, le=1, description="GPUs that a fine-tuning asks for")
    forest_threads: PositiveInt = Field(1, description="CPU threads of a random forest or support vector machine")
    checkpoint_seconds: float = Field(
        300.0, ge=0, description="time between checkpoints of pre-training; 0: after each step"
    )
    begin_anew: bool = Field(
        False, description="keep an unfinished pre-training of something else in kept/, and begin; false: an error"
    )


class Config(OwnBenchmarks):
    """A whole run of the workflow."""

    results: str = Field(
        "results",
        description="folder of everything that is computed from the data: results or a folder in it, but not published",
    )
    mirror: str | None = Field(None, description="folder with copies of data sets; MOLCLR_MIRROR goes before it")
    corpus: Corpus = Field(default_factory=Corpus, description="molecules to pre-train on")
    benchmarks: Distinct[str] = Field(description="benchmarks of the catalogue or of `own_benchmarks`")
    benchmark_molecules: PositiveInt | None = Field(None, description="rows to take of each benchmark; null: all")
    drop_first_row: bool = Field(False, description="leave out the first row of each benchmark; official: true")
    single_task: bool = Field(
        False,
        description="one model for each target, on the molecules with its label and their split; official: true",
    )
    explicit_hydrogens: bool = Field(False, description="hydrogens of benchmarks as atoms; official: true")
    models: Distinct[str] = Field(
        description="rows of the tables, as the paper calls them; MolCLR_GAT and GAT for an encoder.name that ends in GAT"
    )
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
    run: Run = Field(default_factory=Run, description="how jobs run, which changes no result")

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
    def _has_known_models(self) -> "Config":
        own = self.encoder.name
        known = [*get_args(ModelName), *([model_name(own, True), model_name(own, False)] if own else [])]
        for model in self.models:
            if model not in known:
                raise ValueError(
                    f"'models' has {model!r}, which is none of {', '.join(known)}; an encoder of your own needs encoder.name"
                )
        return self

    def encoder_of(self, model: str) -> EncoderName:
        """The encoder of a network: gin for MolCLR_GIN, GIN and gin; my_package.gat:GAT for MolCLR_GAT, GAT and gat."""
        network, own = model.removeprefix(PRETRAINED).lower(), self.encoder.name
        return own if own and model_name(own, False).lower() == network else network

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

SUFFIXES_OF_SECTIONS = (".yaml", ".yml")
"""Endings that tell the path of a section from a section itself, on the command line."""


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
    if text.endswith(SUFFIXES_OF_SECTIONS):
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
        field = section.model_fields.get(str(part))  # None: the key of a dict, such as the name of a benchmark
        annotation = field.annotation if field else None
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        if isinstance(annotation, type) and issubclass(annotation, Section):
            section = annotation
    return list(section.model_fields)
