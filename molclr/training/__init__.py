"""Pre-training, fine-tuning, baselines, and the checkpoints they leave."""
