from animation.db import Session
from animation.easing import smooth


def draw(scene, first, last):
    from animation.render import Frame

    with Session() as session:
        for number in range(first, last + 1):
            position = smooth((number - first) / max(1, last - first))
            session.add(Frame(scene=scene, number=number, position=position))
        session.commit()
