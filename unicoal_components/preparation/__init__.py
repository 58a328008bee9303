"""Preparation of a cohort: registration, bias field correction, cropping and scaling of scans into subject files."""
