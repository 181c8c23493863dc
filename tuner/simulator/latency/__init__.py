"""Latency as a distribution: in-flight batching simulated on measured step times."""
