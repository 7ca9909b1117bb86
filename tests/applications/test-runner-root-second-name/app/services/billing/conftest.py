import pytest

from services.billing import models
from services.common.db import Base, Session, engine


@pytest.fixture
def session():
    Base.metadata.create_all(engine)
    with Session() as session:
        yield session
        session.rollback()


@pytest.fixture
def invoice(session):
    invoice = models.Invoice(customer="K-17")
    session.add(invoice)
    session.flush()
    return invoice
