"""Augmentations, encoders, heads and the loss. Tensors in, tensors out: no files, no RDKit."""
