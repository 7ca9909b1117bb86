"""Reports about the sales of an old till."""
