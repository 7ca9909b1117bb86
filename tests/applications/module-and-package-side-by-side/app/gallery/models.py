from sqlalchemy import Column, Date, ForeignKey, Integer, String, Table
from sqlalchemy.orm import relationship

from gallery.db import mapper_registry, metadata


class Member:
    def __init__(self, name):
        self.name = name


class Photo:
    def __init__(self, title):
        self.title = title


class Exhibition:
    def __init__(self, place):
        self.place = place


members = Table(
    "members",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(60), nullable=False),
)

photos = Table(
    "photos",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("title", String(80), nullable=False),
    Column("taken", Date),
)

exhibitions = Table(
    "exhibitions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", ForeignKey("photos.id")),
    Column("place", String(80), nullable=False),
)

mapper_registry.map_imperatively(Member, members)
mapper_registry.map_imperatively(Photo, photos)
mapper_registry.map_imperatively(
    Exhibition, exhibitions, properties={"photo": relationship(Photo)}
)
