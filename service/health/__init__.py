"""Liveness, readiness, metrics and the index."""
