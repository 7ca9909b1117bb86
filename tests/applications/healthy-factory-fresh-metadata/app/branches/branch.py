from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool

from branches.schema import Schema


class Branch:
    def __init__(self, town, url):
        self.town = town
        self.schema = Schema()
        pool = {"poolclass": StaticPool} if url == "sqlite://" else {}
        self.engine = create_engine(url, **pool)
        self.session = sessionmaker(bind=self.engine)
        self.schema.metadata.create_all(self.engine)

    def sell(self, name, pieces):
        with self.session() as session:
            article = self.schema.Article()
            article.name = name
            sale = self.schema.Sale()
            sale.article, sale.pieces = article, pieces
            session.add(sale)
            session.commit()

    def sold(self):
        with self.session() as session:
            return sum(sale.pieces for sale in session.query(self.schema.Sale))
