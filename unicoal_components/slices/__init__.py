"""Arithmetic of thick and thin slices: groups, profiles, thickness, interpolation."""
