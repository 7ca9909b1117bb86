"""Lending tools in a neighbourhood."""
