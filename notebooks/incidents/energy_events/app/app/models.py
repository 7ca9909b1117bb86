"""Core models: people, their vehicles and what they charge.

These tables are older than the migrations in this repository.
"""

from sqlalchemy import Boolean, Column, DateTime, Float, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from app.db import Base, utcnow


class User(Base):
    __tablename__ = "users"

    id = Column(Integer, primary_key=True)
    email = Column(String(255), nullable=False, unique=True, index=True)
    password_hash = Column(String(255), nullable=False)
    display_name = Column(String(80), nullable=True)
    role = Column(String(20), nullable=False, default="driver")
    is_active = Column(Boolean, nullable=False, default=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)

    preferences = relationship("UserPreferences", back_populates="user", uselist=False)
    vehicles = relationship("Vehicle", back_populates="user", order_by="Vehicle.id")


class UserPreferences(Base):
    __tablename__ = "user_preferences"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, unique=True, index=True)
    units = Column(String(10), nullable=False, default="metric")
    food_tags = Column(String(255), nullable=False, default="")
    max_detour_m = Column(Integer, nullable=False, default=600)
    notify = Column(Boolean, nullable=False, default=True)

    user = relationship("User", back_populates="preferences")


class Vehicle(Base):
    __tablename__ = "vehicles"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    make = Column(String(40), nullable=False)
    model = Column(String(40), nullable=False)
    battery_kwh = Column(Float, nullable=True)

    user = relationship("User", back_populates="vehicles")


class ChargeSession(Base):
    """One stay at a charger, as the driver's app reports it."""

    __tablename__ = "user_charge_sessions"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    vehicle_id = Column(Integer, ForeignKey("vehicles.id"), nullable=True)
    charger_id = Column(String(64), nullable=False, index=True)
    started_at = Column(DateTime, nullable=False, default=utcnow)
    ended_at = Column(DateTime, nullable=True)
    kwh = Column(Float, nullable=False, default=0.0)


class RefreshToken(Base):
    __tablename__ = "user_refresh_tokens"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    token_hash = Column(String(64), nullable=False, unique=True, index=True)
    expires_at = Column(DateTime, nullable=False)
    revoked = Column(Boolean, nullable=False, default=False)
