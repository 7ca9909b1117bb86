"""The cash book of a choir."""
