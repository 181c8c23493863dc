"""The product around the tuning library: HTTP API, database, workers, command line."""
