"""Figures, drawn from result files, so that they can be redrawn without training."""
