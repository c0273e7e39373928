"""edgeseg: medical segmentation networks, from labelled frames to a verified real-time engine."""

__version__ = "0.1.0"
