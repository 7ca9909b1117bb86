from sqlalchemy import Column, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from stable.base import Base
from stable.owners import Owner, address_of


class Horse(Base):
    __tablename__ = "horses"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
    owner_id = Column(ForeignKey("owners.id"))
    owner = relationship(Owner)

    @property
    def letters_to(self):
        return address_of(self.owner)
