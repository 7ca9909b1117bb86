from wholesale.depots.models import Address, Depot

__all__ = ["Address", "Depot"]
