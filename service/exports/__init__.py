"""Engine configurations of a job, ready to deploy."""
