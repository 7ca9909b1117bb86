"""Uploads of a museum's visitors."""
