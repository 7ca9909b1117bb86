"""The recipes of a cooking school."""
