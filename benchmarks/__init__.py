"""Measurements, each one command that prints its figures: ``python -m benchmarks.NAME``."""

import edgeseg  # noqa: F401 - before any benchmark imports OpenVINO or OpenCV, as in every command
