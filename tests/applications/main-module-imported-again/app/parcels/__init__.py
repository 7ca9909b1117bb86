"""Sorting of parcels by destination."""
