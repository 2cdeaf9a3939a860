"""The encoders that a configuration can name: those of the paper and user-defined classes."""

from collections.abc import Callable

from torch import nn

from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.imports import is_dotted_path, load_object
from molclr.models.encoder import GraphEncoder
from molclr.models.fast.encoder import FastGCN, FastGIN

ENCODERS: dict[str, Callable[[EncoderShape, float], nn.Module]] = {"gin": FastGIN, "gcn": FastGCN}
"""Name -> class or function (shape, dropout) -> encoder.

An encoder is a module that takes x, edge_index, edge_attr, batch and num_graphs of a `molclr.batch.GraphBatch` and returns h,
float (num_graphs, embedding_dim).
"""


def make_encoder(name: str, shape: EncoderShape, dropout: float = 0.0) -> GraphEncoder:
    """Make an encoder by its name in ENCODERS or the dotted path of a user's class, such as my_package.gat:GAT.

    Importing a path runs its code, so only pass a path that the user gave. The encoder gets the attributes `name` and `shape`.
    Raises MolclrError for an unknown name and for a path that does not give a torch.nn.Module.
    """
    if not is_dotted_path(name) and name not in ENCODERS:
        raise MolclrError(
            f"Unknown encoder '{name}'; choose {' or '.join(ENCODERS)}, or give the path of your own class, such as "
            "my_package.gat:GAT."
        )
    make = load_object(name) if is_dotted_path(name) else ENCODERS[name]
    encoder = make(shape, dropout)
    if not isinstance(encoder, nn.Module):
        raise MolclrError(
            f"'{name}' does not return a torch.nn.Module for the arguments shape and dropout; see docs/extending.md."
        )
    encoder.name, encoder.shape = name, shape  # type: ignore[assignment]
    return encoder  # type: ignore[return-value]
