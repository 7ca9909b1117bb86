"""The migrations of the granary."""
