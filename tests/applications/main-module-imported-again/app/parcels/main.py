from sqlalchemy import Column, ForeignKey, Integer, String

from parcels.db import Base, Session, engine


class Parcel(Base):
    __tablename__ = "parcels"

    id = Column(Integer, primary_key=True)
    barcode = Column(String(20), nullable=False, unique=True)
    postcode = Column(String(5), nullable=False)
    grams = Column(Integer)
    depot_id = Column(ForeignKey("depots.id"))


from parcels.handlers import lost, sort  # noqa: E402


def main():
    Base.metadata.create_all(engine)
    with Session() as session:
        sort(session)
        session.commit()
        print("not sorted:", lost(session))


if __name__ == "__main__":
    main()
