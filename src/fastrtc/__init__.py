"""Real-time voice services from Python functions."""
