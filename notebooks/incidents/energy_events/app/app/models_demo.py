"""Demo mode: canned drivers and what the presenter has switched on for them."""

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Integer, String, Text

from app.db import Base, utcnow


class DemoProfile(Base):
    __tablename__ = "user_demo_profiles"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, unique=True, index=True)
    scenario = Column(String(40), nullable=False, default="commuter")
    peak_hours = Column(Boolean, nullable=False, default=False)


class DemoEvent(Base):
    """The tape of a demo, so that it can be played again."""

    __tablename__ = "user_demo_events"

    id = Column(Integer, primary_key=True)
    profile_id = Column(Integer, ForeignKey("user_demo_profiles.id"), nullable=False, index=True)
    step = Column(String(60), nullable=False)
    detail = Column(Text, nullable=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)
