"""Pre-training, fine-tuning, baselines, and their checkpoints."""
