from festival.models.films import *  # noqa: F401,F403
from festival.models.people import *  # noqa: F401,F403
from festival.models.screenings import *  # noqa: F401,F403
