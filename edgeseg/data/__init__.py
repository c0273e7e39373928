"""Frames and masks: layouts on disk, splits, augmentation, and phantoms with exact truth."""
