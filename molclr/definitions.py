"""Names that modules define, read from their source, to check a configuration without running code or importing PyTorch."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache

from molclr.config import Config
from molclr.digest import read_tree
from molclr.errors import MolclrError
from molclr.imports import modules_of, unknown

NAMED = {
    "encoder.name": ("encoder", "molclr.models.encoders:ENCODERS", "my_package.gat:GAT"),
    "pretrain.loss": ("loss of pre-training", "molclr.models.nt_xent:LOSSES", "my_package.losses:cross_view"),
    "pretrain.augmentation.composition": (
        "augmentation",
        "molclr.models.augment:AUGMENTATIONS",
        "my_package.views:swap_atoms",
    ),
}
"""Key of the configuration -> the kind of object it names, the table of short names, and the path of a user's object."""


def require_named_code(settings: Config, source: str) -> None:
    """Raise MolclrError, which starts with `source` and the key, for an encoder, loss or augmentation that does not exist."""
    loss, *augmentations = settings.pretrain.functions()
    names = dict(zip(NAMED, [filter(None, [settings.encoder.own]), [loss], augmentations], strict=True))
    for key, (kind, table, example) in NAMED.items():
        for name in names[key]:
            try:
                if problem := unknown(kind, name, keys_of(table), example):
                    raise MolclrError(f"{problem}.")
                require_defined(name)
            except MolclrError as error:
                raise MolclrError(f"{source}: '{key}': {error}") from None


@cache
def keys_of(table: str) -> list[str]:
    """List the keys of a dict of this package, such as "molclr.models.nt_xent:LOSSES", in the order of the source."""
    module, _, name = table.partition(":")
    values = (
        node.value
        for node in read_tree(module).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name
    )
    (value,) = values
    assert isinstance(value, ast.Dict)
    return [key.value for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def require_defined(path: str) -> None:
    """Raise MolclrError if a dotted path, such as my_package.gat:GAT, names nothing at the top of its module.

    A module with `import *` or `__getattr__` may define any name.
    """
    for module in modules_of([path]):
        name, defined = path.partition(":")[2], {*_bound(read_tree(module).body)}
        if name not in defined and not defined & {"*", "__getattr__"}:
            raise MolclrError(f"'{path}': the module '{module}' does not define '{name}'; correct the name.")


def _bound(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements bind, also in branches and loops, but not in functions and classes."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        else:
            for node in ast.iter_child_nodes(statement):
                if isinstance(node, ast.stmt):
                    yield from _bound([node])
                elif isinstance(node, ast.ExceptHandler | ast.match_case):
                    yield from _bound(node.body)
                else:
                    names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
                    yield from (name.id for name in names if isinstance(name.ctx, ast.Store))
