"""The library of scores of a choir."""
