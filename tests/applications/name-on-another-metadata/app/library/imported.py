"""The catalogue, as the national library delivers it: kept apart, so that it can be thrown away and loaded anew."""

from sqlalchemy import Column, Integer, MetaData, String, Table

catalogue = MetaData()

book_subjects = Table(
    "book_subjects",
    catalogue,
    Column("book_id", Integer, primary_key=True),
    Column("subject_id", Integer, primary_key=True),
    Column("source", String(20)),
)
