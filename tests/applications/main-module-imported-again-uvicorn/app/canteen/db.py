from sqlalchemy import create_engine
from sqlalchemy.orm import declarative_base, sessionmaker

from canteen.settings import DATABASE_URL

Base = declarative_base()
engine = create_engine(DATABASE_URL)
Session = sessionmaker(bind=engine)
