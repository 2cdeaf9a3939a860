"""MolCLR: molecular contrastive learning of representations via graph neural networks (Wang et al., 2022)."""

__version__ = "0.1.0"
