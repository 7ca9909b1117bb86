"""Ground water of a river valley."""
