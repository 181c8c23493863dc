"""Workers: lease a job, run it, report what it finds."""
