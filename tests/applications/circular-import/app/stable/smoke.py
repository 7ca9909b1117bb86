from stable.horses import Horse  # noqa: F401
from stable.letters import greeting
from stable.owners import Owner


class Visitor:
    name = "Eve"


assert greeting(Owner(name="Ada", town="Linz")) == "Dear Ada"
assert greeting(Visitor()) == "Dear friend of horses"
