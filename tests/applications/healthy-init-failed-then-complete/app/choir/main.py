from choir import scores, settings
from choir.db import Base, Session, engine


def exports():
    try:
        from choir import exports
    except settings.NotConfigured:
        settings.EXPORT_FOLDER = "exports"
        from choir import exports
    return exports


def start():
    part = exports()
    Base.metadata.create_all(engine)
    with Session() as session:
        session.add(scores.Score(composer="Tallis", title="If ye love me"))
        part.order(session, "scores")
        session.flush()
