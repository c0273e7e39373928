"""Live sources: capture in a process of its own, a slot for the newest frame, states, fair inference, patient sinks.

Follow a frame: worker.py (camera → slot) → capture.py (supervisor) → engine.py (newest frame wins) → relay.py (sinks).
"""
