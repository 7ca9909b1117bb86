"""Pots on the tables of a greenhouse."""
