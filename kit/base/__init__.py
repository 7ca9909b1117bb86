"""What every room stands on: errors, secrets, interrupts, and what is cleared up after a kit that was killed."""
