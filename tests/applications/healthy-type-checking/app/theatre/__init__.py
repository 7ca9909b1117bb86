"""Tickets of a theatre."""
