"""Newsletters of a museum."""
