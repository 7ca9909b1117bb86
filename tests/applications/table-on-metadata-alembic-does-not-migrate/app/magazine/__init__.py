"""A magazine about railways."""
