"""Nova: granting it to drivers and spending it at merchants."""

from typing import Any, Dict, Optional

from sqlalchemy.orm import Session

from app.models_domain import DomainMerchant, DriverWallet, EnergyEvent, NovaTransaction


def wallet_of(db: Session, user_id: int) -> DriverWallet:
    """The driver's wallet; an empty one is made the first time. The caller commits."""
    wallet = db.get(DriverWallet, user_id)
    if wallet is None:
        wallet = DriverWallet(user_id=user_id, nova_balance=0, energy_reputation=0)
        db.add(wallet)
    return wallet


def grant(
    db: Session,
    user_id: int,
    amount: int,
    event: Optional[EnergyEvent] = None,
    details: Optional[Dict[str, Any]] = None,
) -> NovaTransaction:
    """Give a driver Nova, more of it during an event. The caller commits."""
    if event is not None:
        amount = round(amount * event.nova_multiplier)
    wallet_of(db, user_id).nova_balance += amount
    transaction = NovaTransaction(
        type="driver_earn",
        driver_user_id=user_id,
        event_id=event.id if event else None,
        amount=amount,
        metadata=details,
    )
    db.add(transaction)
    return transaction


def redeem(db: Session, user_id: int, merchant: DomainMerchant) -> NovaTransaction:
    """Spend the price of a merchant's perk; ValueError if the wallet holds less."""
    wallet_of(db, user_id).spend(merchant.perk_cost)
    merchant.nova_balance += merchant.perk_cost
    transaction = NovaTransaction(
        type="driver_redeem",
        driver_user_id=user_id,
        merchant_id=merchant.id,
        amount=-merchant.perk_cost,
    )
    db.add(transaction)
    return transaction
