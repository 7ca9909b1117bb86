import uvicorn
from fastapi import FastAPI
from sqlalchemy import Column, Date, Integer, String, select

from canteen import allergens, prices, settings
from canteen.db import Base, Session, engine


class Dish(Base):
    __tablename__ = "dishes"

    id = Column(Integer, primary_key=True)
    day = Column(Date, nullable=False)
    name = Column(String(80), nullable=False)
    cents = Column(Integer, nullable=False)


app = FastAPI(title="canteen")
Base.metadata.create_all(engine)


@app.get("/dishes")
def dishes(student: bool = False):
    with Session() as session:
        found = session.execute(select(Dish)).scalars()
        return {dish.name: prices.for_guest(dish.cents, student) for dish in found}


@app.get("/allergens")
def letters():
    with Session() as session:
        return [a.letter for a in session.execute(select(allergens.Allergen)).scalars()]


if __name__ == "__main__":
    uvicorn.run("canteen.main:app", port=settings.arguments().port)
