import multiprocessing
import sys

from sqlalchemy import Column, Float, Integer, String

from animation import jobs, scenes
from animation.db import Base, Session, engine


class Frame(Base):
    __tablename__ = "frames"

    id = Column(Integer, primary_key=True)
    scene = Column(String(80), nullable=False)
    number = Column(Integer, nullable=False)
    position = Column(Float)


def main():
    Base.metadata.create_all(engine)
    with Session() as session:
        session.add(scenes.Scene(title="Dawn", first_frame=1, last_frame=5))
        session.commit()
        todo = [(s.title, s.first_frame, s.last_frame) for s in session.query(scenes.Scene)]
    spawn = multiprocessing.get_context("spawn")
    for job in todo:
        process = spawn.Process(target=jobs.draw, args=job)
        process.start()
        process.join()
        if process.exitcode:
            sys.exit("scene %s was not drawn" % job[0])
    with Session() as session:
        print("frames:", session.query(Frame).count())


if __name__ == "__main__":
    main()
