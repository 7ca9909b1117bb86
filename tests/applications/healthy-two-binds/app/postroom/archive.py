from postroom.extensions import db


class ArchivedLetter(db.Model):
    __bind_key__ = "archive"
    __tablename__ = "letters"

    id = db.Column(db.Integer, primary_key=True)
    office = db.Column(db.String(60))
    sender = db.Column(db.String(80))
    shelf = db.Column(db.String(12))


def put(letter, shelf):
    kept = ArchivedLetter(id=letter.id, sender=letter.sender, shelf=shelf)
    kept.office = letter.office and letter.office.name
    db.session.add(kept)
    db.session.delete(letter)
