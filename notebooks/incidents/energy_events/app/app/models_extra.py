"""Older models: ledger, incentives, community, users' extras, the grid, offers.

New features get a module of their own (see models_while_you_charge.py); what stands
here stays until the last reader is gone.

Conventions of this file:

* users are named by their id without a foreign key where the table has a revision
  (014 to 018), and with one where the table is older than the revisions;
* amounts of money are cents; times are UTC without a zone;
* no relationships: the services that read these tables join them by hand.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
)

from app.db import Base, utcnow

# --- Ledger (revision 014) -----------------------------------------------------------


class CreditLedger(Base):
    """Append-only: a driver's balance is the sum of the driver's rows."""

    __tablename__ = "credit_ledger"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, nullable=False, index=True)
    cents = Column(Integer, nullable=False)
    reason = Column(String(60), nullable=False)
    reference = Column(String(120), nullable=True, index=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)


class PayoutRequest(Base):
    """Credits that a driver wants paid out. requested -> sent -> settled or failed."""

    __tablename__ = "payout_requests"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, nullable=False, index=True)
    cents = Column(Integer, nullable=False)
    status = Column(String(20), nullable=False, default="requested")
    provider_ref = Column(String(120), nullable=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)
    settled_at = Column(DateTime, nullable=True)


# --- Incentives (revision 015) -------------------------------------------------------


class IncentiveRule(Base):
    """A rule that the reward job evaluates when a session ends, by ascending priority."""

    __tablename__ = "incentive_rules"

    id = Column(Integer, primary_key=True)
    code = Column(String(40), nullable=False, unique=True, index=True)
    title = Column(String(120), nullable=False)
    conditions = Column(JSON, nullable=False, default=dict)
    cents = Column(Integer, nullable=False, default=0)
    priority = Column(Integer, nullable=False, default=100)
    starts_on = Column(Date, nullable=True)
    ends_on = Column(Date, nullable=True)
    is_active = Column(Boolean, nullable=False, default=True)


class RewardGrant(Base):
    """What a rule gave for a session; the pair is unique so that a retry pays once."""

    __tablename__ = "reward_grants"
    __table_args__ = (UniqueConstraint("rule_id", "session_id", name="uq_reward_grant"),)

    id = Column(Integer, primary_key=True)
    rule_id = Column(Integer, ForeignKey("incentive_rules.id"), nullable=False, index=True)
    user_id = Column(Integer, nullable=False, index=True)
    session_id = Column(Integer, nullable=False)
    cents = Column(Integer, nullable=False)
    created_at = Column(DateTime, nullable=False, default=utcnow)


# --- Community (revision 016, except what hangs on users) ----------------------------


class CommunityPool(Base):
    """A share of every reward of a city goes here; a vote decides what it pays for."""

    __tablename__ = "community_pools"

    id = Column(Integer, primary_key=True)
    city = Column(String(80), nullable=False, index=True)
    period = Column(String(7), nullable=False)  # "YYYY-MM"
    cents = Column(Integer, nullable=False, default=0)
    closed = Column(Boolean, nullable=False, default=False)


class PoolContribution(Base):
    __tablename__ = "pool_contributions"

    id = Column(Integer, primary_key=True)
    pool_id = Column(Integer, ForeignKey("community_pools.id"), nullable=False, index=True)
    user_id = Column(Integer, nullable=False, index=True)
    cents = Column(Integer, nullable=False)
    created_at = Column(DateTime, nullable=False, default=utcnow)


class UserFollow(Base):
    """Drivers follow drivers: both earn a little when one of them charges."""

    __tablename__ = "user_follows"
    __table_args__ = (UniqueConstraint("follower_id", "followee_id", name="uq_user_follow"),)

    id = Column(Integer, primary_key=True)
    follower_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    followee_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)


class UserReputation(Base):
    """Points and tier of a driver, recomputed every night from the ledger."""

    __tablename__ = "user_reputation"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, unique=True, index=True)
    points = Column(Integer, nullable=False, default=0)
    tier = Column(String(20), nullable=False, default="bronze")
    streak_days = Column(Integer, nullable=False, default=0)
    updated_at = Column(DateTime, nullable=False, default=utcnow, onupdate=utcnow)


class UserReferral(Base):
    __tablename__ = "user_referrals"

    id = Column(Integer, primary_key=True)
    referrer_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    code = Column(String(16), nullable=False, unique=True, index=True)
    redeemed_by = Column(Integer, ForeignKey("users.id"), nullable=True)
    redeemed_at = Column(DateTime, nullable=True)


class UserAchievement(Base):
    __tablename__ = "user_achievements"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    badge = Column(String(40), nullable=False)
    earned_at = Column(DateTime, nullable=False, default=utcnow)


class UserDevice(Base):
    """Push tokens. A token that bounces is deleted, not deactivated."""

    __tablename__ = "user_devices"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    platform = Column(String(10), nullable=False)
    push_token = Column(String(255), nullable=False, unique=True)
    last_seen_at = Column(DateTime, nullable=True)


# --- Charging network and grid (revision 017) ----------------------------------------


class ChargerReservation(Base):
    __tablename__ = "charger_reservations"

    id = Column(Integer, primary_key=True)
    charger_id = Column(String(64), nullable=False, index=True)
    user_id = Column(Integer, nullable=False, index=True)
    window_start = Column(DateTime, nullable=False)
    window_end = Column(DateTime, nullable=False)
    status = Column(String(20), nullable=False, default="held")


class UtilityProgram(Base):
    """A utility's demand-response program that drivers can be enrolled in."""

    __tablename__ = "utility_programs"

    id = Column(Integer, primary_key=True)
    utility = Column(String(80), nullable=False)
    name = Column(String(120), nullable=False)
    cents_per_kwh = Column(Float, nullable=False, default=0.0)
    terms = Column(Text, nullable=True)
    is_active = Column(Boolean, nullable=False, default=True)


class UtilityEnrollment(Base):
    __tablename__ = "utility_enrollments"
    __table_args__ = (UniqueConstraint("program_id", "user_id", name="uq_utility_enrollment"),)

    id = Column(Integer, primary_key=True)
    program_id = Column(Integer, ForeignKey("utility_programs.id"), nullable=False, index=True)
    user_id = Column(Integer, nullable=False, index=True)
    account_number = Column(String(40), nullable=True)
    created_at = Column(DateTime, nullable=False, default=utcnow)


class GridSignal(Base):
    __tablename__ = "grid_signals"
    __table_args__ = (UniqueConstraint("region", "hour", name="uq_grid_signal"),)

    id = Column(Integer, primary_key=True)
    region = Column(String(20), nullable=False)
    hour = Column(DateTime, nullable=False)
    cents_per_kwh = Column(Float, nullable=False)


# --- Merchants' offers (revision 018) ------------------------------------------------


class MerchantOffer(Base):
    """An offer of a shop outside While You Charge; superseded by MerchantPerk there."""

    __tablename__ = "merchant_offers"

    id = Column(Integer, primary_key=True)
    merchant_name = Column(String(120), nullable=False, index=True)
    title = Column(String(120), nullable=False)
    cost_cents = Column(Integer, nullable=False)
    stock = Column(Integer, nullable=True)  # None: as many as are asked for
    starts_at = Column(DateTime, nullable=True)
    ends_at = Column(DateTime, nullable=True)
    is_active = Column(Boolean, nullable=False, default=True)


class OfferClaim(Base):
    """A claimed offer; the code is shown at the till."""

    __tablename__ = "offer_claims"

    id = Column(Integer, primary_key=True)
    offer_id = Column(Integer, ForeignKey("merchant_offers.id"), nullable=False, index=True)
    user_id = Column(Integer, nullable=False, index=True)
    code = Column(String(12), nullable=False, unique=True, index=True)
    claimed_at = Column(DateTime, nullable=False, default=utcnow)
    redeemed_at = Column(DateTime, nullable=True)


# --- Hosted charging -----------------------------------------------------------------
#
# The first sketch of group charging, from 2025-10: a host announces when a charger of
# theirs is cheap, and everyone who charges then gets the boost. It never had a router.


class EnergyEvent(Base):
    """A host's announced window, with the boost on rewards inside it."""

    __tablename__ = "energy_events"

    id = Column(Integer, primary_key=True)
    event_id = Column(String(64), nullable=False, unique=True, index=True)
    host_id = Column(Integer, nullable=False, index=True)
    schedule = Column(JSON, nullable=False, default=dict)
    boost_rate = Column(Float, nullable=False, default=1.0)


# --- Help ----------------------------------------------------------------------------


class SupportTicket(Base):
    """Tickets from the app's help page, copied to the help desk every hour."""

    __tablename__ = "user_support_tickets"

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False, index=True)
    subject = Column(String(160), nullable=False)
    body = Column(Text, nullable=False)
    status = Column(String(20), nullable=False, default="open")
    created_at = Column(DateTime, nullable=False, default=utcnow)
