"""The configuration: models that validate the YAML, document all keys and give typed values to the code.

A YAML file contains only the keys that differ from the defaults here. Subcommands receive a section, such as `pretrain`, as
`--settings`, so that all settings that affect a result are in the parameters of its Snakemake rule.
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
    """Reject true and 5.0, which pydantic accepts as integers. Accept "5", the form of the command line."""
    if isinstance(value, bool | float):
        raise ValueError("input should be a valid integer")
    return value


WHOLE = BeforeValidator(_no_other_number)
"""It follows limits, which would otherwise be missing in the schema and in docs/configuration.md."""
PositiveInt = Annotated[int, Field(ge=1), WHOLE]
Count = Annotated[int, Field(ge=0), WHOLE]
Seed = Count
PositiveFloat = Annotated[float, Field(gt=0)]


def _is_a_split(name: str) -> str:
    if not re.fullmatch(r"[a-z_]+(-\d+)?", name):
        raise ValueError(
            "input should be the name of a scheme (lower-case letters and _), then - and a seed if it has one"
        )
    return name


SplitName = Annotated[str, AfterValidator(_is_a_split)]
"""A split scheme, followed by the seed if it has one."""


def _without_repetition(values: list) -> list:
    repeated = {value for value in values if values.count(value) > 1}
    if repeated:
        raise ValueError(f"{sorted(repeated)} is repeated")
    return values


Item = TypeVar("Item")
Distinct = Annotated[list[Item], Field(min_length=1), AfterValidator(_without_repetition)]

ModelName = Literal["MolCLR_GIN", "MolCLR_GCN", "GIN", "GCN", "RF", "SVM", "SVM_Tanimoto"]
EncoderName = str
"""A key of ENCODERS in molclr/models/encoders.py, such as gin, or the path of a user's class, such as my_package.gat:GAT."""
ReleasedName = Literal["official-gin", "official-gcn"]
ShippedName = Literal["molclr-gin"]
DEFAULT_ENCODER: ShippedName = "molclr-gin"
"""The default encoder of the command line and of Python. The workflow uses the encoders that it pre-trains."""
FROM_SCRATCH = "none"
"""The name of no encoder: networks start from new weights."""


PRETRAINED = "MolCLR_"
"""Prefix of the names of models that start from a pre-trained encoder."""


def model_name(encoder: EncoderName, pretrained: bool) -> str:
    """Return the name of a model in tables: GIN for gin, GAT for my_package.gat:GAT; MolCLR_GIN and MolCLR_GAT if pre-trained."""
    network = encoder.rpartition(":")[2] if is_dotted_path(encoder) else encoder.upper()
    return f"{PRETRAINED}{network}" if pretrained else network


def class_name_problem(encoder: EncoderName) -> str:
    """Return why the class at a dotted path cannot name models in tables; empty if it can, and for encoders of this package.

    Names that differ only in case are equal, because they are names of folders.
    """
    name = model_name(encoder, False)
    taken = name.lower() in (other.lower() for other in get_args(ModelName))
    is_part = name.startswith((PRETRAINED, SVM)) or name.endswith(AND_ECFP)
    if not is_dotted_path(encoder) or not (taken or is_part):
        return ""
    return f"the class {name} has {'the name' if taken else 'part of the name'} of another model in tables; rename your class"


SVM, AND_ECFP = "SVM", "_ECFP"
"""Parts of the names of support vector machines: SVM on ECFP4 counts, SVM_MolCLR_GIN on a frozen representation, and
SVM_MolCLR_GIN_ECFP on both."""
SVM_TANIMOTO = f"{SVM}_Tanimoto"
"""A support vector machine on ECFP4 counts, which compares them by the kernel of SVM_MolCLR_GIN_ECFP."""
FINGERPRINT_MODELS = ("RF", SVM, SVM_TANIMOTO)
"""The baselines, which know ECFP4 counts alone."""


def frozen_names(pretrained: str) -> list[str]:
    """Return the names of the support vector machines on the frozen representation of a pre-trained model."""
    return [f"{SVM}_{pretrained}", f"{SVM}_{pretrained}{AND_ECFP}"]


def pretrained_of(model: str) -> str:
    """Return the pre-trained model whose encoder a model uses: MolCLR_GIN for itself and SVM_MolCLR_GIN; empty for none."""
    if model.startswith(f"{SVM}_"):
        model = model.removeprefix(f"{SVM}_").removesuffix(AND_ECFP)
    return model if model.startswith(PRETRAINED) else ""


class Section(BaseModel):
    """A part of the configuration. It is immutable, and unknown keys are errors.

    All values in `model_dump` affect results, except those of `Run`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Labels(Section):
    """The labels of a benchmark, and how it is split and scored."""

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
            raise ValueError("'unit' must name each target and nothing else")
        return unit

    @property
    def scheme(self) -> str:
        """The scheme of `split` without its seed."""
        return self.split.partition("-")[0]

    def unit_of(self, target: str) -> str:
        """Return the unit of `target`; empty if it has none."""
        return self.unit if isinstance(self.unit, str) else self.unit[target]


class OwnBenchmark(Labels):
    """A user-defined benchmark: a table of molecules with labels."""

    table: str = Field(description="path of the table: CSV, Excel, SDF, Parquet or .smi, compressed or not")
    smiles_column: str | None = Field(
        None, description="column with the SMILES; null: found by its name or content, as the log says"
    )
    split_column: str = Field(
        "subset", description="column that has train, valid or test in each row, for `split: given`"
    )

    @model_validator(mode="after")
    def _one_split(self) -> "OwnBenchmark":
        if self.split_column != "subset" and self.split != "given":
            raise ValueError("'split_column' is only used with 'split: given'; set that, or remove 'split_column'")
        return self


class OwnBenchmarks(Section):
    """The user-defined benchmarks."""

    own_benchmarks: dict[str, OwnBenchmark] = Field({}, description="user-defined benchmarks, by name")

    @field_validator("own_benchmarks")
    @classmethod
    def _named(cls, benchmarks: dict[str, OwnBenchmark]) -> dict[str, OwnBenchmark]:
        for name in benchmarks:
            if not re.fullmatch(r"[A-Za-z0-9_-]+(?<!-)", name) or re.search(r"-\d+$", name):
                raise ValueError(
                    f"'{name}' is used in file names; use only letters, digits, - and _, and no number after the last -"
                )
        return {name: own.model_copy(update={"name": own.name or name}) for name, own in benchmarks.items()}


class Corpus(Section):
    """The unlabelled molecules of pre-training."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = Field(
        "zinc", description="a corpus of the catalogue, zinc or pubchem; with `table` the name of your own corpus"
    )
    table: str | None = Field(
        None, description="path of your own corpus: CSV, .smi, SDF, Parquet or Excel, compressed or not"
    )
    smiles_column: str | None = Field(
        None, description="column with the SMILES in that table; null: found by its name or content, as the log says"
    )
    molecules: PositiveInt | None = Field(None, description="number of rows to use, evenly spaced; null: all")
    exclude: Literal["molecules", "scaffolds"] | None = Field(
        None,
        description="exclude the benchmarks' test molecules, or all molecules with the scaffold of one; null: nothing",
    )


class EncoderShape(Section):
    """The shape of a graph neural network (paper, Methods; official config.yaml)."""

    layers: PositiveInt = Field(5, description="message-passing layers")
    hidden_dim: PositiveInt = Field(300, description="dimension of atom vectors")
    embedding_dim: PositiveInt = Field(512, description="dimension of the representation h")
    gcn_normalization: bool = Field(
        True, description="GCN: normalize edges by the degrees of their atoms (Kipf & Welling, 2017); official: false"
    )


class EncoderChoice(EncoderShape):
    """The shape of the encoders, or instead the name of a released encoder, which replaces pre-training."""

    name: str | None = Field(
        None,
        exclude=True,
        description="one encoder in addition to gin and gcn: the path of your own class, such as my_package.gat:GAT, whose "
        "models are called MolCLR_GAT and GAT",
    )
    released: ReleasedName | None = Field(
        None, exclude=True, description="weights released by the authors; set by `encoder: official-gcn`"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if not isinstance(value, str):
            if isinstance(value, dict) and "released" in value:
                raise ValueError("a released encoder replaces all keys of this section: write 'encoder: official-gcn'")
            return value
        if value not in get_args(ReleasedName):
            raise ValueError(f"input should be the keys of a shape, or {' or '.join(get_args(ReleasedName))}")
        return {"released": value, "gcn_normalization": False}

    @field_validator("name")
    @classmethod
    def _is_an_encoder(cls, name: str | None) -> str | None:
        if name is not None and not (re.fullmatch("[a-z0-9_]+", name) or is_dotted_path(name)):
            raise ValueError("input should be gin, gcn or the path of your own class, such as my_package.gat:GAT")
        if name and (problem := class_name_problem(name)):
            raise ValueError(problem)
        return name


def _is_a_composition(value: Any) -> Any:
    """Reject values other than a preset or a list of augmentations. `require_named_code` checks the names in the list."""
    steps = value if isinstance(value, list) and value else [value]
    is_list = all(
        isinstance(step, dict)
        and len(step) == 1
        and all(isinstance(ratio, int | float) and 0 <= ratio < 1 for ratio in step.values())
        for step in steps
    )
    if not (value in ("node", "subgraph", "mix") or is_list):
        raise ValueError(
            "input should be node, subgraph, mix or a list of augmentations with ratios from 0 to below 1, such as "
            "[{subgraph_removal: 0.1}, {atom_masking: 0.25}]"
        )
    return value


class Augmentation(Section):
    """The augmentations that make a view of a molecule (paper, Methods, 'Molecule graph augmentation')."""

    composition: Annotated[str | list[dict[str, float]], BeforeValidator(_is_a_composition)] = Field(
        "node",
        description="node: masking and deletion; subgraph: removal; mix: removal, then masking and deletion; or a list of "
        "augmentations with ratios, in order, such as [{subgraph_removal: 0.1}, {atom_masking: 0.25}]; the keys below then have "
        "no effect",
    )
    atom_masking: Ratio = Field(0.25, description="fraction of masked atoms")
    bond_deletion: Ratio = Field(0.25, description="fraction of deleted bonds")
    subgraph_removal: Ratio = Field(
        0.25, description="fraction of atoms that are removed as a subgraph; in mix the largest fraction"
    )
    subgraph_keeps_rings: bool = Field(
        True, description="subgraph: keep ring-closing bonds whose atoms are both kept; official: false"
    )


class Compute(Section):
    """The device, threads and precision of a job."""

    device: str = Field("auto", description="auto (a GPU if there is one), cpu, cuda or cuda:0")
    threads: PositiveInt = Field(1, description="CPU threads of a job, which affect the rounding of sums")
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
    batch_size: Annotated[int, Field(ge=2), WHOLE] = Field(
        512, description="molecules per step, over all devices; there are 2 (B - 1) negatives"
    )
    learning_rate: PositiveFloat = Field(5e-4, description="highest learning rate of Adam")
    weight_decay: float = Field(1e-5, ge=0, description="strength of the weight decay")
    decay: Literal["l2", "decoupled"] = Field(
        "decoupled",
        description="decoupled: AdamW on the weight matrices; l2: an L2 penalty on all weights; official: l2",
    )
    warmup_epochs: Count = Field(10, description="epochs of warm-up before the cosine decay")
    warmup: Literal["linear", "flat"] = Field(
        "linear", description="linear: rise to the highest rate; flat: the highest rate from the start; official: flat"
    )
    loss: str = Field(
        "nt_xent",
        description="a name in molclr/models/nt_xent.py, or the path of your own, such as my_package.losses:cross_view",
    )
    temperature: PositiveFloat = Field(0.1, description="temperature of the loss")
    projection: PositiveInt = Field(256, description="dimension of the projection z")
    dropout: Ratio = Field(0.0, description="dropout in the encoder")
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="fraction of the corpus that is held out"
    )
    seed: Seed = Field(0, description="seed of initial weights, batches and augmentations")
    augmentation: Augmentation = Field(default_factory=Augmentation, description="augmentations of the views")

    def functions(self) -> list[str]:
        """List the names of the loss and the augmentations; some may be paths of user functions."""
        composition = self.augmentation.composition
        steps = composition if isinstance(composition, list) else []
        return [self.loss, *(name for step in steps for name in step)]


class Finetune(Compute):
    """Supervised training on one benchmark, from a pre-trained encoder or from scratch."""

    epochs: PositiveInt = Field(100, description="passes over the training molecules")
    batch_size: Annotated[int, Field(ge=2), WHOLE] = Field(32, description="molecules per step")
    encoder_learning_rate: PositiveFloat = Field(1e-4, description="learning rate of a pre-trained encoder (Adam)")
    head_learning_rate: PositiveFloat = Field(5e-4, description="learning rate of the head (Adam)")
    new_encoder_rate: Literal["head", "encoder"] = Field(
        "head",
        description="rate of an encoder from scratch: `head_learning_rate` or `encoder_learning_rate`; official: encoder",
    )
    weight_decay: float = Field(1e-6, ge=0, description="L2 penalty of Adam")
    dropout: Ratio = Field(0.3, description="dropout in the encoder")
    head_layers: PositiveInt = Field(2, description="hidden layers of the head, with half the dimension of h")
    activation: Literal["softplus", "relu"] = Field("softplus", description="activation in the head")
    class_outputs: Annotated[int, Field(ge=1, le=2), WHOLE] = Field(
        1, description="outputs per classification target: 1, with a sigmoid, or 2, with a softmax; official: 2"
    )
    standardize: Literal["all"] | list[str] = Field(
        "all", description="regression benchmarks whose labels are standardized; official: [qm7, qm9]"
    )


class Baselines(Section):
    """Random forest and support vector machines, on ECFP4 counts and on a frozen representation."""

    trees: PositiveInt = Field(500, description="trees of the random forest")
    svm_training_limit: PositiveInt = Field(
        10_000, description="largest training set of an SVM; larger ones are sampled"
    )


class Figures(Section):
    """The content of the figures."""

    molecules: PositiveInt = Field(2000, description="number of held-out corpus molecules to embed")
    property: Literal["molecular_weight", "logp", "tpsa", "rings"] = Field("logp", description="colour of the t-SNE")
    neighbours: PositiveInt = Field(8, description="neighbours in the retrieval figure")


class Run(Section):
    """How jobs run. These keys do not affect results, so they are not in the parameters of rules or in dvc.lock."""

    pretrain_gpus: Count = Field(0, description="GPUs of pre-training, with one process per GPU")
    finetune_gpus: Annotated[int, Field(ge=0, le=1), WHOLE] = Field(0, description="GPUs of a fine-tuning job")
    forest_threads: PositiveInt = Field(1, description="CPU threads of a random forest or support vector machine")
    checkpoint_seconds: float = Field(
        300.0, ge=0, description="time between checkpoints of pre-training; 0: after each step"
    )
    begin_anew: bool = Field(
        False,
        description="move an unfinished pre-training with other settings to kept/ and start again; false: an error",
    )


class Config(OwnBenchmarks):
    """The configuration of a run of the workflow."""

    results: str = Field(
        "results",
        description="folder for results: results or a folder in it other than results/published",
    )
    mirror: str | None = Field(None, description="folder with copies of data sets; MOLCLR_MIRROR has precedence")
    corpus: Corpus = Field(default_factory=Corpus, description="molecules for pre-training")
    benchmarks: Distinct[str] = Field(description="benchmarks of the catalogue or of `own_benchmarks`")
    benchmark_molecules: PositiveInt | None = Field(None, description="rows to use of each benchmark; null: all")
    drop_first_row: bool = Field(False, description="drop the first row of each benchmark; official: true")
    single_task: bool = Field(
        False,
        description="one model per target, on the molecules with its label and their own split; official: true",
    )
    explicit_hydrogens: bool = Field(False, description="explicit hydrogen atoms in benchmarks; official: true")
    models: Distinct[str] = Field(
        description="models by the paper's names; SVM_Tanimoto for an SVM with the Tanimoto kernel; MolCLR_GAT and GAT for an "
        "encoder.name that ends in GAT; SVM_MolCLR_GIN for an SVM on the frozen representation of MolCLR_GIN, and "
        "SVM_MolCLR_GIN_ECFP on that and ECFP4 counts"
    )
    seeds: Distinct[Seed] = Field(default=[0, 1, 2], description="seeds of all models")
    seeds_of: dict[str, Distinct[Seed]] = Field({}, description="benchmark -> seeds, if they differ from `seeds`")
    encoder: EncoderChoice = Field(
        default_factory=EncoderChoice, description="shape of all encoders; or official-gin, official-gcn"
    )
    pretrain: Pretrain = Field(default_factory=Pretrain, description="pre-training")
    finetune: Finetune = Field(default_factory=Finetune, description="fine-tuning")
    search_trials: Annotated[int, Field(ge=1, le=192), WHOLE] | None = Field(
        None, description="trials of a random search for each benchmark and network; null: no search"
    )
    baselines: Baselines = Field(default_factory=Baselines, description="baselines")
    figures: Figures = Field(default_factory=Figures, description="figures")
    run: Run = Field(default_factory=Run, description="how jobs run, without effect on results")

    @field_validator("results")
    @classmethod
    def _is_a_folder_for_results(cls, folder: str) -> str:
        if not re.fullmatch(r"results(/[A-Za-z0-9_-]+)*", folder):
            raise ValueError(
                "input should be results or a folder in it, such as results/mine, with only letters, digits, - and _"
            )
        if folder.split("/")[1:2] == ["published"]:
            raise ValueError("runs cannot write to results/published; choose another folder")
        return folder

    @model_validator(mode="after")
    def _has_known_models(self) -> "Config":
        own = self.encoder.name
        of_own = [model_name(own, True), model_name(own, False)] if own else []
        known = [*get_args(ModelName), *of_own]
        known += [name for model in known if model.startswith(PRETRAINED) for name in frozen_names(model)]
        for model in self.models:
            if model not in known:
                named = (
                    f"'encoder.name: {own}' names {' and '.join(of_own)}"
                    if own
                    else "your own encoder needs encoder.name"
                )
                raise ValueError(f"'models' has {model!r}, which is not one of {', '.join(known)}; {named}")
        return self

    def encoder_of(self, model: str) -> EncoderName:
        """Return the encoder of a model: gin for MolCLR_GIN, GIN and gin; my_package.gat:GAT for MolCLR_GAT, GAT and gat."""
        network, own = (pretrained_of(model) or model).removeprefix(PRETRAINED).lower(), self.encoder.name
        return own if own and model_name(own, False).lower() == network else network

    def decisive(self) -> dict[str, Any]:
        """Return the keys that decide the scores of a run and differ from their defaults, as in a YAML file."""
        values = self.model_dump(mode="json", exclude={"results", "mirror", "run", "figures"}, exclude_defaults=True)
        if self.encoder.name:
            values["encoder"] = values.get("encoder", {}) | {"name": self.encoder.name}
        return values | ({"encoder": self.encoder.released} if self.encoder.released else {})

    @model_validator(mode="after")
    def _suits_a_released_encoder(self) -> "Config":
        released = self.encoder.released
        wanted = f"MolCLR_{released.removeprefix('official-').upper()}" if released else None
        for model in self.models:
            if wanted and pretrained_of(model) not in ("", wanted):
                raise ValueError(f"the encoder {released} belongs to {wanted}; remove {model} from 'models'")
        if released and self.corpus.exclude:
            raise ValueError(f"{released} is already trained, so 'corpus.exclude' has no effect; remove it")
        return self


AnySection = TypeVar("AnySection", bound=Section)

SUFFIXES_OF_SECTIONS = (".yaml", ".yml")
"""File suffixes by which the command line recognises the path of a section."""


def parse_section(section: type[AnySection], values: Any, source: str) -> AnySection:
    """Validate `values` as a `section`. Raises MolclrError, which names `source` and the key, for an invalid value."""
    try:
        return section.model_validate(values if values is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise MolclrError(f"{source}: the key '{key}' is missing.") from None
        if first["type"] == "extra_forbidden":
            known = ", ".join(_fields_beside(section, first["loc"]))
            raise MolclrError(f"{source}: unknown key '{key}'; the keys here are {known}.") from None
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "value_error" and isinstance(first["input"], dict):  # An error that concerns several keys.
            where = f"'{key}': " if key else ""
        else:
            given = first["input"] if not isinstance(first["input"], dict) else "{...}"
            where = f"'{key}' is {given!r}: "
        raise MolclrError(f"{source}: {where}{message[:1].lower()}{message[1:]}.") from None


def parse_settings(section: type[AnySection], text: str, option: str = "--settings") -> AnySection:
    """Validate the argument of `option`: inline YAML or JSON, or the path of a YAML file.

    The file has the keys of the section, or is a configuration of the workflow with this section.
    """
    source = option
    if text.endswith(SUFFIXES_OF_SECTIONS):
        path = Path(text)
        if not path.is_file():
            raise MolclrError(f"{option}: the file '{text}' does not exist; correct the path.")
        source, text = text, path.read_text()
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = text
    if not isinstance(values, dict | None):
        raise MolclrError(
            f"{source}: the value is not a YAML mapping; write {{key: value}}, or the path of a YAML file."
        )
    name = _name_in_configuration(section)
    if values and name in values and set(values) <= set(Config.model_fields):
        source, values = f"{source}, {name}", values[name]
    return parse_section(section, values, source)


def _name_in_configuration(section: type[Section]) -> str | None:
    """Return the key of a section in a configuration; None unless exactly one key has this type."""
    kinds = {name: field.annotation for name, field in Config.model_fields.items()}
    names = [name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, section)]
    return names[0] if len(names) == 1 else None


def _fields_beside(section: type[Section], location: tuple[str | int, ...]) -> list[str]:
    """List the valid keys at the location of an unknown key."""
    for part in location[:-1]:
        field = section.model_fields.get(str(part))  # None for keys of a dict, such as names of benchmarks
        annotation = field.annotation if field else None
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        if isinstance(annotation, type) and issubclass(annotation, Section):
            section = annotation
    return list(section.model_fields)
