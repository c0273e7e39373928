"""Measurements, each one command that prints its figures: ``python -m benchmarks.NAME``."""
