from wholesale.customers.models import Address, Customer

__all__ = ["Address", "Customer"]
