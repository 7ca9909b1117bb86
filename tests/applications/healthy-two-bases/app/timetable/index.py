"""An index of the stops for typing ahead, kept in memory."""
from sqlalchemy import Column, String, create_engine
from sqlalchemy.orm import declarative_base, sessionmaker
from sqlalchemy.pool import StaticPool

IndexBase = declarative_base()
engine = create_engine("sqlite://", poolclass=StaticPool)
Session = sessionmaker(bind=engine)


class IndexedStop(IndexBase):
    __tablename__ = "stops"

    folded = Column(String(60), primary_key=True)
    name = Column(String(60), nullable=False)


def build(names):
    IndexBase.metadata.drop_all(engine)
    IndexBase.metadata.create_all(engine)
    with Session() as session:
        session.add_all([IndexedStop(folded=name.casefold(), name=name) for name in names])
        session.commit()


def suggest(typed):
    with Session() as session:
        like = IndexedStop.folded.like(typed.casefold() + "%")
        return [stop.name for stop in session.query(IndexedStop).filter(like)]
