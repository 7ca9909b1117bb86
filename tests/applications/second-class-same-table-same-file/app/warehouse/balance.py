from sqlalchemy import func, select

from warehouse.stock import StockMove


def on_hand(session, part):
    moved = select(func.sum(StockMove.quantity)).where(StockMove.part == part)
    return session.scalar(moved) or 0
