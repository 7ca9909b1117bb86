"""The hives of a bee-keepers' club."""
