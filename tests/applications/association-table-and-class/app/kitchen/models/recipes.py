from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text
from sqlalchemy.orm import relationship

from kitchen.db import Base

recipe_label = Table(
    "recipe_label",
    Base.metadata,
    Column("recipe_id", ForeignKey("recipe.id"), primary_key=True),
    Column("label_id", ForeignKey("label.id"), primary_key=True),
)


class Label(Base):
    __tablename__ = "label"

    id = Column(Integer, primary_key=True)
    name = Column(String(30), nullable=False, unique=True)


class Recipe(Base):
    __tablename__ = "recipe"

    id = Column(Integer, primary_key=True)
    title = Column(String(80), nullable=False)
    method = Column(Text)
    labels = relationship("Label", secondary=recipe_label)


class Ingredient(Base):
    __tablename__ = "ingredient"

    id = Column(Integer, primary_key=True)
    recipe_id = Column(ForeignKey("recipe.id"), nullable=False)
    text = Column(String(80), nullable=False)
    recipe = relationship("Recipe", backref="ingredients")
