"""A bicycle shop with a workshop."""
