from sqlalchemy import Column, Integer, String, Table, Text, select


class Box:
    """A key-value store in a table of the MetaData it is given."""

    def __init__(self, metadata, table="kvbox", expires=False):
        columns = [Column("key", String(120), primary_key=True), Column("value", Text)]
        if expires:
            columns.append(Column("expires_at", Integer, nullable=False))
        self.table = Table(table, metadata, *columns)

    def get(self, connection, key):
        statement = select(self.table.c.value).where(self.table.c.key == key)
        return connection.execute(statement).scalar()

    def put(self, connection, key, value, **more):
        connection.execute(self.table.delete().where(self.table.c.key == key))
        connection.execute(self.table.insert().values(key=key, value=value, **more))
