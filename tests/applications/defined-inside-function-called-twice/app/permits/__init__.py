"""Building permits of a district."""
