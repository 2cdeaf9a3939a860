"""The encoders that a configuration can name: those of the paper, and classes of one's own."""

from collections.abc import Callable

from torch import nn

from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.imports import is_dotted_path, load_object
from molclr.models.encoder import Encoder
from molclr.models.fast.encoder import FastGCN, FastGIN

ENCODERS: dict[str, Callable[[EncoderShape, float], nn.Module]] = {"gin": FastGIN, "gcn": FastGCN}
"""Name -> class, or any function, that makes an encoder of a shape and a dropout.

An encoder is a module that takes x, edge_index, edge_attr, batch and num_graphs of a `molclr.batch.GraphBatch` and returns h,
float (num_graphs, embedding_dim).
"""


def make_encoder(name: str, shape: EncoderShape, dropout: float = 0.0) -> Encoder:
    """A new encoder of a name in the table, or of the path of a class of the same kind, such as my_package.gat:GAT.

    Importing a path runs its code, so it must be one that the user gave. The encoder remembers its `name` and `shape`.
    Raises MolclrError for an unknown name and for a path that does not lead to a class of modules.
    """
    if not is_dotted_path(name) and name not in ENCODERS:
        raise MolclrError(
            f"There is no encoder '{name}'; take {' or '.join(ENCODERS)}, or the path of a class of your own, such as "
            "my_package.gat:GAT."
        )
    make = load_object(name) if is_dotted_path(name) else ENCODERS[name]
    encoder = make(shape, dropout)
    if not isinstance(encoder, nn.Module):
        raise MolclrError(f"'{name}' makes no torch.nn.Module of a shape and a dropout; see docs/extending.md.")
    encoder.name, encoder.shape = name, shape  # type: ignore[assignment]
    return encoder  # type: ignore[return-value]
