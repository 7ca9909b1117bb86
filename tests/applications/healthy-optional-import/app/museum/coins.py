from flask import Blueprint

from museum.models import Coin

room = Blueprint("coins", __name__)


@room.route("/coins")
def coins():
    return [Coin.__tablename__]
