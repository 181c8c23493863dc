"""Loads an engine with a workload and measures what its users would see."""
