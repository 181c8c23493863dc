"""What can be simulated: GPUs and models."""
