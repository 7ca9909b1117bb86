from till.db import Base, engine

Base.metadata.reflect(engine, only=["articles", "sales"])
