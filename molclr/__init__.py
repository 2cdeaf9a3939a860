"""MolCLR: molecular contrastive learning of representations via graph neural networks (Wang et al., 2022)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molclr.data.pyg import to_pyg
    from molclr.estimators import MolCLRClassifier, MolCLRRegressor, MolCLRTransformer
    from molclr.representation import Encoder

__all__ = ["Encoder", "MolCLRClassifier", "MolCLRRegressor", "MolCLRTransformer", "to_pyg"]
__version__ = "0.1.0"

_MODULES = {
    "Encoder": "molclr.representation",
    "MolCLRClassifier": "molclr.estimators",
    "MolCLRRegressor": "molclr.estimators",
    "MolCLRTransformer": "molclr.estimators",
    "to_pyg": "molclr.data.pyg",
}
"""Names that are imported on first access, because they need PyTorch, which most commands do not."""


def __getattr__(name: str) -> Any:
    """Import a name of __all__ on first access."""
    if name not in _MODULES:
        raise AttributeError(f"module 'molclr' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
