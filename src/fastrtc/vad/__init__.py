"""Voice activity detection: the protocol for any model, and Silero."""
