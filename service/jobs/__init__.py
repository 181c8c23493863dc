"""Jobs: submit, look, cancel, delete."""
