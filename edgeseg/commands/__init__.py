"""One file a command: its options, and a call into the part that does it. Heavy imports stand inside."""
