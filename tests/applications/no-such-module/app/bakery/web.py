from bakery.base import Base
from bakery.models import Bread
from bakery.models.order import Order

TABLES = {model.__tablename__ for model in (Bread, Order)}
assert TABLES == set(Base.metadata.tables)
