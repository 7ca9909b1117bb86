from bicycles import customers, shop, workshop
from bicycles.db import Base, Session, engine


def start():
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        with Session(bind=connection) as session:
            customer = customers.Customer(name="Ada")
            session.add(customer)
            session.flush()
            session.add(shop.Order(customer_id=customer.id, article="bell"))
            session.add(workshop.Order(customer=customer, frame_number="WX-77"))
            session.flush()
            return session.query(shop.Order).count(), session.query(workshop.Order).count()
