"""Inference: load a scan, set the task, synthesize the volume, save it with its record."""
