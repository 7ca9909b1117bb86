"""The vehicles of a fire brigade."""
