"""Trainer, running averages, schedules, checkpoints, reports."""
