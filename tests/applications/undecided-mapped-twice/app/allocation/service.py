from allocation import domain, orm


class Service:
    def __init__(self):
        orm.start_mappers()

    def allocate(self, order, sku, quantity):
        with orm.Session() as session:
            line = domain.OrderLine(order, sku, quantity)
            session.add(line)
            reference = domain.allocate(line, session.query(domain.Batch).all())
            session.commit()
            return reference
