from allocation import orm
from allocation.service import Service
from allocation.worker import Worker


def start():
    service, worker = Service(), Worker()
    orm.metadata.create_all(orm.engine)
    worker.deliver("B-1", "small-table", 20)
    return service.allocate("O-1", "small-table", 2)
