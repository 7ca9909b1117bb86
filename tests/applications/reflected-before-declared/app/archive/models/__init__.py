from archive.models.box import Box
from archive.models.item import Item

__all__ = ["Box", "Item"]
