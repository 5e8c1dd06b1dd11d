"""Audio as numbers: G.711, sample rates, and the recent past of a call."""
