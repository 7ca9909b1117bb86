"""Ends with 0 if a label that somebody sets shows on the recipe."""
from sqlalchemy import create_engine

from kitchen import labels
from kitchen.db import Base, Session
from kitchen.models import Label, Recipe


def run():
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        with Session(bind=connection) as session:
            recipe, label = Recipe(title="Borscht"), Label(name="winter")
            session.add_all([recipe, label])
            session.flush()
            labels.put(session, recipe, label, "Vera")
            session.flush()
            session.refresh(recipe)
            assert [found.name for found in recipe.labels] == ["winter"], recipe.labels


if __name__ == "__main__":
    run()
