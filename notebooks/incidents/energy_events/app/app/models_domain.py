"""Domain Charge Party MVP: zones, the events in them, merchants, wallets and Nova.

A zone is a walkable district. Inside it, drivers who charge during an energy event earn
Nova and spend it at the zone's merchants. Revision 019 creates these tables.

Amounts of Nova are whole numbers, amounts of money are cents; times are UTC without
a zone. An event is scheduled, active or closed; a merchant is pending or active.
Drivers are named by the id of their user; there is no foreign key, since the users'
table is older than the migrations.
"""

import uuid

from sqlalchemy import JSON, Boolean, Column, DateTime, Float, ForeignKey, Integer, String, Text
from sqlalchemy.orm import relationship

from app.db import Base, utcnow


class Zone(Base):
    """A walkable district around a cluster of chargers."""

    __tablename__ = "zones"

    slug = Column(String(60), primary_key=True)
    name = Column(String(120), nullable=False)
    center_lat = Column(Float, nullable=False)
    center_lng = Column(Float, nullable=False)
    radius_m = Column(Integer, nullable=False, default=1000)
    is_active = Column(Boolean, nullable=False, default=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)

    merchants = relationship("DomainMerchant", back_populates="zone")


class EnergyEvent(Base):
    """A charge party: a window in which charging inside a zone earns Nova."""

    __tablename__ = "energy_events"

    id = Column(String(36), primary_key=True, default=lambda: str(uuid.uuid4()))
    slug = Column(String(80), nullable=False, unique=True, index=True)
    zone_slug = Column(String(60), ForeignKey("zones.slug"), nullable=False, index=True)
    name = Column(String(120), nullable=False)
    description = Column(Text, nullable=True)
    starts_at = Column(DateTime, nullable=False)
    ends_at = Column(DateTime, nullable=True)
    status = Column(String(20), nullable=False, default="scheduled", index=True)
    nova_multiplier = Column(Float, nullable=False, default=1.0)
    created_at = Column(DateTime, nullable=False, default=utcnow)

    zone = relationship(Zone)

    def is_open(self, at) -> bool:
        """True while the event runs; an event without an end stays open until it is closed."""
        if self.status != "active" or at < self.starts_at:
            return False
        return self.ends_at is None or at < self.ends_at


class DomainMerchant(Base):
    """A shop that takes Nova. It may also be listed by While You Charge."""

    __tablename__ = "domain_merchants"

    id = Column(String(36), primary_key=True, default=lambda: str(uuid.uuid4()))
    zone_slug = Column(String(60), ForeignKey("zones.slug"), nullable=False, index=True)
    name = Column(String(120), nullable=False)
    category = Column(String(40), nullable=False, default="other")
    lat = Column(Float, nullable=False)
    lng = Column(Float, nullable=False)
    place_id = Column(String(255), nullable=True, unique=True, index=True)
    owner_user_id = Column(Integer, nullable=True, index=True)
    nova_balance = Column(Integer, nullable=False, default=0)
    perk_label = Column(String(120), nullable=True)
    perk_cost = Column(Integer, nullable=False, default=0)
    status = Column(String(20), nullable=False, default="pending")
    created_at = Column(DateTime, nullable=False, default=utcnow)

    zone = relationship("Zone", back_populates="merchants")


class DriverWallet(Base):
    """A driver's Nova. The balance is the sum of the driver's transactions."""

    __tablename__ = "driver_wallets"

    user_id = Column(Integer, primary_key=True, autoincrement=False)
    nova_balance = Column(Integer, nullable=False, default=0)
    energy_reputation = Column(Integer, nullable=False, default=0)
    updated_at = Column(DateTime, nullable=False, default=utcnow, onupdate=utcnow)

    def spend(self, amount: int) -> None:
        """Take Nova out; a wallet never goes below zero."""
        if amount > self.nova_balance:
            raise ValueError(f"{amount} Nova asked for, {self.nova_balance} there")
        self.nova_balance -= amount


class DomainChargingSession(Base):
    """A stay at a charger during an event, with what tells that it happened."""

    __tablename__ = "domain_charging_sessions"

    id = Column(String(36), primary_key=True, default=lambda: str(uuid.uuid4()))
    driver_user_id = Column(Integer, nullable=False, index=True)
    event_id = Column(String(36), ForeignKey("energy_events.id"), nullable=True, index=True)
    charger_id = Column(String(64), nullable=True)
    started_at = Column(DateTime, nullable=False, default=utcnow)
    ended_at = Column(DateTime, nullable=True)
    kwh = Column(Float, nullable=True)
    verified = Column(Boolean, nullable=False, default=False)
    verified_by = Column(String(40), nullable=True)
    start_lat = Column(Float, nullable=True)
    start_lng = Column(Float, nullable=True)

    event = relationship(EnergyEvent)

    def minutes(self) -> float:
        """How long the car has been charging; 0 for a stay that goes on."""
        if self.ended_at is None:
            return 0.0
        return (self.ended_at - self.started_at).total_seconds() / 60


class NovaTransaction(Base):
    """One movement of Nova: granted to a driver, spent at a merchant, bought."""

    __tablename__ = "nova_transactions"

    id = Column(String(36), primary_key=True, default=lambda: str(uuid.uuid4()))
    type = Column(String(30), nullable=False, index=True)
    driver_user_id = Column(Integer, nullable=True, index=True)
    merchant_id = Column(String(36), ForeignKey("domain_merchants.id"), nullable=True, index=True)
    event_id = Column(String(36), ForeignKey("energy_events.id"), nullable=True)
    amount = Column(Integer, nullable=False)
    metadata = Column(JSON, nullable=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)


class StripePayment(Base):
    """A merchant's purchase of Nova, as Stripe reports it."""

    __tablename__ = "stripe_payments"

    id = Column(String(36), primary_key=True, default=lambda: str(uuid.uuid4()))
    stripe_session_id = Column(String(255), nullable=False, unique=True, index=True)
    merchant_id = Column(String(36), ForeignKey("domain_merchants.id"), nullable=False, index=True)
    amount_cents = Column(Integer, nullable=False)
    nova_issued = Column(Integer, nullable=False)
    status = Column(String(20), nullable=False, default="pending")
    created_at = Column(DateTime, nullable=False, default=utcnow)
