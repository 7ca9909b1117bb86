"""While You Charge: chargers, the shops in walking distance and their perks."""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import relationship

from app.db import Base, utcnow


class Charger(Base):
    __tablename__ = "chargers"

    id = Column(String(64), primary_key=True)
    name = Column(String(120), nullable=False)
    network = Column(String(60), nullable=True)
    lat = Column(Float, nullable=False)
    lng = Column(Float, nullable=False)
    power_kw = Column(Float, nullable=True)
    plugs = Column(Integer, nullable=False, default=1)
    is_public = Column(Boolean, nullable=False, default=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)


class Merchant(Base):
    __tablename__ = "wyc_merchants"

    id = Column(String(64), primary_key=True)
    name = Column(String(120), nullable=False)
    category = Column(String(40), nullable=False, index=True)
    lat = Column(Float, nullable=False)
    lng = Column(Float, nullable=False)
    rating = Column(Float, nullable=True)
    is_active = Column(Boolean, nullable=False, default=True)

    perks = relationship("MerchantPerk", back_populates="merchant", order_by="MerchantPerk.id")


class MerchantPerk(Base):
    """What a driver gets at a merchant while the car charges."""

    __tablename__ = "wyc_merchant_perks"

    id = Column(Integer, primary_key=True)
    merchant_id = Column(String(64), ForeignKey("wyc_merchants.id"), nullable=False, index=True)
    title = Column(String(120), nullable=False)
    nova_reward = Column(Integer, nullable=False, default=0)
    window_start = Column(String(5), nullable=True)  # "HH:MM", local time
    window_end = Column(String(5), nullable=True)
    is_active = Column(Boolean, nullable=False, default=True)

    merchant = relationship("Merchant", back_populates="perks")


class ChargerMerchant(Base):
    """How far it is on foot from a charger to a merchant."""

    __tablename__ = "wyc_charger_merchants"
    __table_args__ = (
        UniqueConstraint("charger_id", "merchant_id", name="uq_wyc_charger_merchant"),
    )

    id = Column(Integer, primary_key=True)
    charger_id = Column(String(64), ForeignKey("chargers.id"), nullable=False, index=True)
    merchant_id = Column(String(64), ForeignKey("wyc_merchants.id"), nullable=False, index=True)
    distance_m = Column(Float, nullable=False)
    walk_seconds = Column(Integer, nullable=False)
