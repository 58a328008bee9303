"""Uni-COAL for MONAI: MR image synthesis and super-resolution with one alias-free network."""

__version__ = "0.1.0"
