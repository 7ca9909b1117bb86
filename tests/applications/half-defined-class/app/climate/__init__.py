"""Readings of climate stations on farms."""
