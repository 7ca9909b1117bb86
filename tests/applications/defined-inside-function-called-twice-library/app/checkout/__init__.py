"""The checkout of a garden shop."""
