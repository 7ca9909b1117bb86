"""Dispatching of a courier service."""
