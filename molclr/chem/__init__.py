"""Molecules with RDKit: SMILES, graphs, fingerprints and scaffolds, without PyTorch."""
