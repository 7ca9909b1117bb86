from sqlalchemy.orm import Session

from bakery.db import engine
from bakery.orders import Base, Order


def start():
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Order(bread="rye"))
        session.commit()
        return session.query(Order).count()
