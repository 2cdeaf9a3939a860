"""The encoders that a configuration can name: those of the paper and user-defined classes."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from molclr.batch import GraphBatch
from molclr.config import EncoderShape
from molclr.errors import MolclrError
from molclr.imports import is_dotted_path, load_function, require_callable, unknown
from molclr.models.contract import require_independence
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
    Raises MolclrError for an unknown name and for a path that does not give a torch.nn.Module with the arguments of an encoder.
    The encoder of a path raises MolclrError if its output does not have the shape of h and, when it is first used in evaluation
    mode, if h of a molecule depends on the other molecules of the batch.
    """
    if problem := unknown("encoder", name, ENCODERS, "my_package.gat:GAT"):
        raise MolclrError(f"{problem}.")
    make = load_function(name, "shape", "dropout") if is_dotted_path(name) else ENCODERS[name]
    encoder = make(shape, dropout)
    if not isinstance(encoder, nn.Module):
        raise MolclrError(
            f"'{name}' does not return a torch.nn.Module for the arguments shape and dropout; see docs/extending.md."
        )
    encoder.name, encoder.shape = name, shape  # type: ignore[assignment]
    if is_dotted_path(name):
        require_callable(encoder.forward, f"The method forward of '{name}'", *GraphBatch._fields)
        encoder.is_checked = False  # type: ignore[assignment]
        encoder.register_forward_hook(_require_h)
    return encoder  # type: ignore[return-value]


def _require_h(encoder: nn.Module, arguments: tuple[Any, ...], h: Any) -> None:
    """Raise MolclrError if the output of an encoder that was called with the fields of a GraphBatch is not h."""
    if len(arguments) < len(GraphBatch._fields):
        return
    graphs = GraphBatch(*arguments)
    expected = (graphs.num_graphs, encoder.shape.embedding_dim)  # type: ignore[union-attr]
    if not isinstance(h, Tensor) or h.shape != expected:
        found = tuple(h.shape) if isinstance(h, Tensor) else f"a {type(h).__name__}"
        raise MolclrError(
            f"'{encoder.name}' returned {found}; change it to return a tensor of shape (num_graphs, embedding_dim) = {expected}."
        )
    if not (encoder.training or encoder.is_checked) and graphs.num_graphs > 1:
        encoder.is_checked = True  # type: ignore[assignment]
        require_independence(encoder, graphs)
