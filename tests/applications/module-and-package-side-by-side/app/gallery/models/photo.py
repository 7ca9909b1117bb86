from sqlalchemy import Column, Date, Integer, String, Table

from gallery.db import mapper_registry, metadata


class Photo:
    def __init__(self, title, camera=None):
        self.title = title
        self.camera = camera


photos = Table(
    "photos",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("title", String(80), nullable=False),
    Column("taken", Date),
    Column("camera", String(40)),
)

mapper_registry.map_imperatively(Photo, photos)
