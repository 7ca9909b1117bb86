"""Reports, kept apart from what they report about."""
