"""The donors of a food bank."""
