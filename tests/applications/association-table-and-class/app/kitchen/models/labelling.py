from sqlalchemy import Column, DateTime, ForeignKey, String, func

from kitchen.db import Base


class RecipeLabel(Base):
    __tablename__ = "recipe_label"

    recipe_id = Column(ForeignKey("recipe.id"), primary_key=True)
    label_id = Column(ForeignKey("label.id"), primary_key=True)
    set_by = Column(String(40))
    set_at = Column(DateTime, server_default=func.now())
