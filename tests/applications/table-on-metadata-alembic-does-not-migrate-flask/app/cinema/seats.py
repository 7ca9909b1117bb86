from cinema.models import Seat, db


def fill():
    db.create_all()
    db.session.add(Seat(row=1))
    db.session.commit()
