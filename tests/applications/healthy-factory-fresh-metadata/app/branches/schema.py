from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import registry, relationship


class Schema:
    """Tables and classes for one branch."""

    def __init__(self):
        self.registry = registry()
        self.metadata = self.registry.metadata
        self.articles = Table(
            "articles",
            self.metadata,
            Column("id", Integer, primary_key=True),
            Column("name", String(80), nullable=False),
        )
        self.sales = Table(
            "sales",
            self.metadata,
            Column("id", Integer, primary_key=True),
            Column("article_id", ForeignKey("articles.id"), nullable=False),
            Column("pieces", Integer, nullable=False),
        )

        class Article:
            pass

        class Sale:
            pass

        self.Article, self.Sale = Article, Sale
        self.registry.map_imperatively(Article, self.articles)
        self.registry.map_imperatively(
            Sale, self.sales, properties={"article": relationship(Article)}
        )
