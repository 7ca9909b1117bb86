"""Observations of a network of amateur telescopes."""
