"""GIN and GCN computed sooner on a CPU: the same values and gradients as `molclr.models.encoder`, the definition."""
