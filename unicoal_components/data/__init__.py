"""Subject files, simulated cohorts, slice groups and data sets."""
