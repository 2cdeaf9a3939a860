"""MolCLR: molecular contrastive learning of representations via graph neural networks (Wang et al., 2022)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molclr.representation import Encoder

__all__ = ["Encoder"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `molclr.Encoder` on first access, because it needs PyTorch, which most commands do not."""
    if name != "Encoder":
        raise AttributeError(f"module 'molclr' has no attribute '{name}'")
    from molclr.representation import Encoder

    return Encoder
