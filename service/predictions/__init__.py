"""Calibrated predictions of what a job did not measure."""
