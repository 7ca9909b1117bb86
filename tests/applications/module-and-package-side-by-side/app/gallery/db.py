import os

from sqlalchemy import create_engine
from sqlalchemy.orm import registry, sessionmaker

mapper_registry = registry()
metadata = mapper_registry.metadata
engine = create_engine(os.environ.get("DATABASE_URL", "sqlite://"))
Session = sessionmaker(bind=engine)
