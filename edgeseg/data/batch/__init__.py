"""Augmentation of whole batches in PyTorch, for training on a GPU: what the files beside this folder do frame by frame.

``augment`` is the order of it, ``geometry``, ``paste``, ``light`` and ``recorder`` are its parts. On a CPU the
frames go through :mod:`edgeseg.data.augmentation` in a process beside the training step (docs/decisions/0011).
"""
