"""Engine, session and schema of the database."""
