"""Loans of a town library."""
