"""The holdings of a city archive."""
