"""Samplers, the study loop, stopping."""
