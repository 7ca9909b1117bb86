"""What the scheduler runs: one file a task."""
