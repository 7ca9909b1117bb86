"""A small hotel."""
