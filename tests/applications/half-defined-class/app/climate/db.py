from sqlalchemy import create_engine
from sqlalchemy.orm import declarative_base, sessionmaker

from climate import settings

Base = declarative_base()
engine = create_engine(settings.DATABASE_URL)
Session = sessionmaker(bind=engine)
