"""Augmentations, encoders, heads and losses as functions of tensors, without files and without RDKit."""
