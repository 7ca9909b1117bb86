from __future__ import annotations

from typing import TYPE_CHECKING

from theatre.models import Ticket

if TYPE_CHECKING:
    from theatre.models import Play, Seat


def sell(session, play: Play, seat: Seat, buyer: str) -> Ticket:
    ticket = Ticket(play=play, seat=seat, buyer=buyer)
    session.add(ticket)
    return ticket
