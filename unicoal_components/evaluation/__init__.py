"""Evaluation: held-out subjects, cases, baselines, tables and their record."""
