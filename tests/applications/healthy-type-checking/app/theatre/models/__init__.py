from theatre.models.plays import Play
from theatre.models.seats import Seat
from theatre.models.tickets import Ticket

__all__ = ["Play", "Seat", "Ticket"]
