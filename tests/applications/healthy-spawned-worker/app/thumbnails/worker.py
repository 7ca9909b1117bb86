import multiprocessing

from thumbnails import job
from thumbnails.db import Base, Session, engine
from thumbnails.pictures import Thumbnail


def main():
    Base.metadata.create_all(engine)
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1) as pool:
        sizes = pool.map(job.run, [(1200, 800), (640, 960)])
    with Session() as session:
        for number, (width, height) in enumerate(sizes, 1):
            session.add(Thumbnail(picture_id=number, width=width, height=height))
        session.commit()
        print("thumbnails:", session.query(Thumbnail).count())


if __name__ == "__main__":
    main()
