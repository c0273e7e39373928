"""Frames → ranges of every activation: one table per network, from which every INT8 form is emitted."""
