from allocation import domain, orm


class Worker:
    def __init__(self):
        orm.start_mappers()

    def deliver(self, reference, sku, quantity):
        with orm.Session() as session:
            session.add(domain.Batch(reference, sku, quantity))
            session.commit()
