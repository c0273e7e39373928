"""Run → frame graph → bundle."""
