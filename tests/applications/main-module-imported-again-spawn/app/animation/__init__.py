"""Animated films from drawings."""
