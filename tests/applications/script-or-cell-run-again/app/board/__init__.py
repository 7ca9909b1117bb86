"""Pages about the budget of a parish."""
