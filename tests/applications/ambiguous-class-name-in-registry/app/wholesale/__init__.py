"""A wholesale dealer in flowers."""
