"""GPUs as a pool, their energy as a measure, their power as a knob."""
