from weather import loader
from weather.db import engine, metadata


def start():
    loader.load_all(loader.ROOT / "weather" / "reports")
    reports = loader.load_all(loader.ROOT / "weather" / "reports")
    metadata.create_all(engine)
    with engine.connect() as connection:
        return {report.__name__: report.run(connection) for report in reports}
