"""GIN and GCN computed faster: the same values and gradients as `molclr.models.encoder`, the definition.

`encoder` is for CPUs; `slots` and `slot_views` are for GPUs.
"""
