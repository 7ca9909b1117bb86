from festival import *  # noqa: F403
from festival.programme import *  # noqa: F403
from festival.programme import of


def start():
    Base.metadata.create_all(engine)  # noqa: F405
    with Session() as session:  # noqa: F405
        return of(session, "Rex")
