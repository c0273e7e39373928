"""Frames from a source through a model into sinks; follow a frame: sources/ → pipeline.py → overlay.py → sinks/."""
