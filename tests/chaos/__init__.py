"""Real processes against the sandbox over real connections: killed, paused, interrupted, cut off, and side by side."""
