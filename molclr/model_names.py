"""Names of encoders and of models: those of the workflow and those of 'molclr train'."""

from collections.abc import Iterable
from typing import Literal, get_args

from molclr.imports import is_dotted_path

EncoderName = str
"""A key of ENCODERS in molclr/models/encoders.py, such as gin, or the path of a user's class, such as my_package.gat:GAT."""
ReleasedName = Literal["official-gin", "official-gcn"]
ShippedName = Literal["molclr-gin", "molclr-gcn"]
DEFAULT_ENCODER: ShippedName = "molclr-gin"
"""The default encoder of the command line and of Python. The workflow uses the encoders that it pre-trains."""
FROM_SCRATCH = "none"
"""The name of no encoder: networks start from new weights."""

NETWORK = "network"
"""Model of 'molclr train': an ensemble of networks."""
FOREST, MACHINE, TANIMOTO = ON_COUNTS = ("rf", "svm", "tanimoto")
"""Models of 'molclr train': a random forest, and SVMs with a Gaussian and with a Tanimoto kernel, on ECFP4 counts."""
REPRESENTATION, COMBINED = WITH_ENCODER = ("representation", "combined")
"""Models of 'molclr train': SVMs on the representation h, and on h and ECFP4 counts (with the Tanimoto kernel of TANIMOTO)."""
TRAIN_MODELS = (NETWORK, *ON_COUNTS, *WITH_ENCODER)
"""All models of 'molclr train'."""

ModelName = Literal["MolCLR_GIN", "MolCLR_GCN", "GIN", "GCN", "RF", "SVM", "SVM_Tanimoto"]
PRETRAINED = "MolCLR_"
"""Prefix of the names of models that start from a pre-trained encoder."""
SVM, AND_ECFP = "SVM", "_ECFP"
"""Parts of the names of support vector machines: SVM on ECFP4 counts, SVM_MolCLR_GIN on a frozen representation, and
SVM_MolCLR_GIN_ECFP on both."""
SVM_TANIMOTO = f"{SVM}_Tanimoto"
"""A support vector machine on ECFP4 counts, which compares them by the kernel of SVM_MolCLR_GIN_ECFP."""
FINGERPRINT_MODELS = ("RF", SVM, SVM_TANIMOTO)
"""The baselines, which know ECFP4 counts alone."""


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


def is_svm(model: str) -> bool:
    """Return whether a model of the workflow is a support vector machine."""
    return model.startswith(SVM)


def network_of(model: str) -> str:
    """Return the network of a model without its pre-training: GIN for GIN, MolCLR_GIN and SVM_MolCLR_GIN."""
    return (pretrained_of(model) or model).removeprefix(PRETRAINED)


def encoders_of(models: Iterable[str]) -> list[str]:
    """Return the networks of the pre-trained encoders that models use, without repetition; their folders are in lower case."""
    return list(dict.fromkeys(network_of(model) for model in models if pretrained_of(model)))


def frozen_names(pretrained: str) -> list[str]:
    """Return the names of the support vector machines on the frozen representation of a pre-trained model."""
    return [f"{SVM}_{pretrained}", f"{SVM}_{pretrained}{AND_ECFP}"]


def pretrained_of(model: str) -> str:
    """Return the pre-trained model whose encoder a model uses: MolCLR_GIN for itself and SVM_MolCLR_GIN; empty for none."""
    if model.startswith(f"{SVM}_"):
        model = model.removeprefix(f"{SVM}_").removesuffix(AND_ECFP)
    return model if model.startswith(PRETRAINED) else ""
