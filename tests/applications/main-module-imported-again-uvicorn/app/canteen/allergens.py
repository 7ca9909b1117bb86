from sqlalchemy import Column, Integer, String

from canteen.db import Base


class Allergen(Base):
    __tablename__ = "allergens"

    id = Column(Integer, primary_key=True)
    letter = Column(String(1), nullable=False, unique=True)
    name = Column(String(30), nullable=False)
