import pytest

from plants.common.db import Base, Session, engine
from plants.greenhouse.models import Pot


@pytest.fixture
def pot():
    Base.metadata.create_all(engine)
    with Session() as session:
        pot = Pot(species="Ocimum basilicum")
        session.add(pot)
        yield pot
        session.rollback()
