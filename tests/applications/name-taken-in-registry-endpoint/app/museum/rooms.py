from flask import Blueprint

from museum.access import for_members
from museum.models import Room

rooms = Blueprint("rooms", __name__, url_prefix="/rooms")


@rooms.route("/")
@for_members
def index():
    return [Room.__tablename__]


@rooms.route("/open")
@for_members
def opened():
    return ["east"]
