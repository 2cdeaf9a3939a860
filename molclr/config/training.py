"""The sections on models: encoders, augmentations, pre-training, fine-tuning and baselines."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from molclr.config.fields import WHOLE, Count, PositiveFloat, PositiveInt, Ratio, Section, Seed
from molclr.imports import is_dotted_path
from molclr.model_names import ReleasedName, class_name_problem


class EncoderShape(Section):
    """The shape of a graph neural network (paper, Methods; official config.yaml)."""

    layers: PositiveInt = Field(5, description="message-passing layers")
    hidden_dim: PositiveInt = Field(300, description="dimension of atom vectors")
    embedding_dim: PositiveInt = Field(512, description="dimension of the representation h")
    gcn_normalization: bool = Field(
        True, description="GCN: normalize edges by the degrees of their atoms (Kipf & Welling, 2017); official: false"
    )


RELEASED_SHAPE = EncoderShape(gcn_normalization=False)
"""The shape of the encoders that the authors released."""


class EncoderChoice(EncoderShape):
    """The shape of the encoders, and the name of one encoder in addition to gin and gcn, or of a released one.

    `official-gcn` is short for `{name: official-gcn, gcn_normalization: false}`.
    """

    name: str | None = Field(
        None,
        description="one encoder in addition to gin and gcn: the path of your own class, such as my_package.gat:GAT, whose "
        "models are called MolCLR_GAT and GAT; or official-gin or official-gcn, as with `encoder: official-gcn`: weights "
        "released by the authors, which replace pre-training",
    )

    @property
    def released(self) -> str | None:
        """The name of the released encoder that replaces pre-training, if one is chosen."""
        return self.name if self.name in get_args(ReleasedName) else None

    @property
    def own(self) -> str | None:
        """The name of the encoder in addition to gin and gcn, if there is one."""
        return None if self.released else self.name

    @property
    def shape(self) -> EncoderShape:
        """The shape alone, whose set keys are those set here."""
        return EncoderShape(**self.model_dump(exclude={"name"}, exclude_unset=True))

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in get_args(ReleasedName):
                raise ValueError(f"input should be the keys of a shape, or {' or '.join(get_args(ReleasedName))}")
            value = {"name": value}
        is_released = isinstance(value, dict) and value.get("name") in get_args(ReleasedName)
        return RELEASED_SHAPE.model_dump(exclude_defaults=True) | value if is_released else value

    @field_validator("name")
    @classmethod
    def _is_an_encoder(cls, name: str | None) -> str | None:
        if name is None or name in get_args(ReleasedName):
            return name
        if not (re.fullmatch("[a-z0-9_]+", name) or is_dotted_path(name)):
            raise ValueError("input should be gin, gcn or the path of your own class, such as my_package.gat:GAT")
        if problem := class_name_problem(name):
            raise ValueError(problem)
        return name

    @model_validator(mode="after")
    def _has_the_released_shape(self) -> "EncoderChoice":
        if self.released and self.shape != RELEASED_SHAPE:
            raise ValueError(f"the shape of a released encoder is fixed: write 'encoder: {self.released}'")
        return self


def _is_ratio(value: Any) -> bool:
    """Return whether a value, which is text on the command line of Snakemake, is a number from 0 to below 1."""
    try:
        return 0 <= float(value) < 1
    except (TypeError, ValueError):
        return False


def _is_a_composition(value: Any) -> Any:
    """Reject values other than a preset or a list of augmentations. `require_named_code` checks the names in the list."""
    steps = value if isinstance(value, list) and value else [value]
    is_list = all(
        isinstance(step, dict) and len(step) == 1 and all(_is_ratio(ratio) for ratio in step.values()) for step in steps
    )
    if not ((isinstance(value, str) and value in USED_KEYS) or is_list):
        raise ValueError(
            "input should be node, subgraph, mix or a list of augmentations with ratios from 0 to below 1, such as "
            "[{subgraph_removal: 0.1}, {atom_masking: 0.25}]"
        )
    return value


USED_KEYS = {
    "node": ("atom_masking", "bond_deletion"),
    "subgraph": ("subgraph_removal", "subgraph_keeps_rings"),
    "mix": ("atom_masking", "bond_deletion", "subgraph_removal"),
}
"""Preset of `composition` -> the keys that affect it; a list of augmentations has its own ratios."""


class Augmentation(Section):
    """The augmentations that make a view of a molecule (paper, Methods, 'Molecule graph augmentation')."""

    composition: Annotated[str | list[dict[str, float]], BeforeValidator(_is_a_composition)] = Field(
        "node",
        description="node: masking and deletion; subgraph: removal; mix: removal, then masking and deletion; or a list of "
        "augmentations with ratios, in order, such as [{subgraph_removal: 0.1}, {atom_masking: 0.25}]; other values of the "
        "keys below are then errors",
    )
    atom_masking: Ratio = Field(0.25, description="fraction of masked atoms")
    bond_deletion: Ratio = Field(0.25, description="fraction of deleted bonds")
    subgraph_removal: Ratio = Field(
        0.25, description="fraction of atoms that are removed as a subgraph; in mix the largest fraction"
    )
    subgraph_keeps_rings: bool = Field(
        True, description="subgraph: keep ring-closing bonds whose atoms are both kept; official: false"
    )

    @model_validator(mode="after")
    def _has_no_key_without_effect(self) -> "Augmentation":
        used = USED_KEYS[self.composition] if isinstance(self.composition, str) else ()
        for key, value in self:
            if key not in ("composition", *used) and value != type(self).model_fields[key].default:
                advice = f"; the keys that it uses are {', '.join(used)}" if used else ", which has its own ratios"
                raise ValueError(f"'{key}' has no effect with 'composition: {self.composition}'{advice}; remove it")
        return self


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
        "linear",
        description="linear: rise to the highest rate, which the last epoch of warm-up has, in equal steps; "
        "flat: the highest rate from the start; official: flat",
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

    @property
    def loss_label(self) -> str:
        """The loss in figures and in the report; of a user's function its name without the module."""
        return "contrastive loss" if self.loss == "nt_xent" else f"loss {self.loss.rpartition(':')[2]}"

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
