"""The tuning library: configurations in, frontier out; knows nothing of HTTP or of the database."""
