"""The catalogue, as the national library delivers it: kept apart, so that it can be thrown away and loaded anew."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

from library.subjects import Subject

catalogue = MetaData()

book_subjects = Table(
    "book_subjects",
    catalogue,
    Column("book_id", Integer, primary_key=True),
    Column("subject_id", ForeignKey(Subject.__table__.c.id), primary_key=True),
    Column("source", String(20)),
)
