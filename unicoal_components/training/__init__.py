"""Training: transforms of a batch, the trainer, schedules, averages and checkpoints."""
