class Batch:
    def __init__(self, reference, sku, quantity):
        self.reference = reference
        self.sku = sku
        self.quantity = quantity


class OrderLine:
    def __init__(self, order, sku, quantity):
        self.order = order
        self.sku = sku
        self.quantity = quantity


def allocate(line, batches):
    for batch in batches:
        if batch.sku == line.sku and batch.quantity >= line.quantity:
            batch.quantity -= line.quantity
            return batch.reference
    return None
