"""Where results go: annotated video, masks, events, a window."""
