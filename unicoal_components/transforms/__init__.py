"""MONAI transforms of slices and volumes."""
