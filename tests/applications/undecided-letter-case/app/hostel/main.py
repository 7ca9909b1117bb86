from hostel import beds, desk
from hostel.db import Base, Session, engine

MODELS = (beds.Bed, beds.Guest)


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        desk.arrive(session, "A. Visitor", "C01X00T47")
        session.commit()
