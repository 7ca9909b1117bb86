from toolshed import models, reports
from toolshed.db import Base, Session, engine


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        session.add(models.Loan(tool=models.Tool(name="drill"), neighbour="Kim"))
        session.flush()
        return reports.lent(session.connection())
