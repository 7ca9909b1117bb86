from bakery.models.bread import Bread  # noqa: F401
