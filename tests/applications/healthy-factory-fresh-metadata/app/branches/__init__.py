"""The shops of a chain, each with a till database of its own."""
