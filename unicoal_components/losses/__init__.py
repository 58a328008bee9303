"""Adversarial and feature losses."""
