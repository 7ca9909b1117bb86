import secrets

from sqlalchemy import Column, ForeignKey, Integer, String

from authkit.base import Base

user_model = None


class Token(Base):
    __tablename__ = "authkit_tokens"

    id = Column(Integer, primary_key=True)
    user_id = Column(ForeignKey("authkit_users.id"), nullable=False)
    value = Column(String(64), nullable=False, unique=True)


def issue(session, login):
    user = session.query(user_model).filter_by(login=login).one()
    token = Token(user_id=user.id, value=secrets.token_hex(32))
    session.add(token)
    return token.value
