"""Pictures of a photographers' club."""
