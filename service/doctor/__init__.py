"""What works on a machine, what is missing, and how to get it."""
