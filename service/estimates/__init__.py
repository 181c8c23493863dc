"""One configuration, simulated at once."""
