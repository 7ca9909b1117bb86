"""When which bed is watered. Edited often, and by others."""
from irrigation.rules.holidays import dry
from irrigation.rules.summer import minutes

__all__ = ["dry", "minutes"]
