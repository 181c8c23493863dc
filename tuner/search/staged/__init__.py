"""The measuring policy: which configuration to measure next, and why."""
