"""A rowing club."""
