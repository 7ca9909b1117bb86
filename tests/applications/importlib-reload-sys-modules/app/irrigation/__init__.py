"""The irrigation of a park."""
