"""What turns configurations into metrics."""
