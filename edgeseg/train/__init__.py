"""Recipe + labelled frames → a run (weights, manifest, curves)."""
