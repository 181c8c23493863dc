"""Trials, frontier and recommendations of a job."""
