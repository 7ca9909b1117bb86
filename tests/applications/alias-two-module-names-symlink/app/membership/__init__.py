"""The members of a swimming club."""
