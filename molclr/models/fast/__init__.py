"""Faster implementations of GIN and GCN with the same values and gradients as the definition, `molclr.models.encoder`.

`encoder` is for CPUs; `slots`, `slot_views` and `slot_encoder` are for GPUs.
"""
