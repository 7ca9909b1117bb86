"""The berths of a marina."""
