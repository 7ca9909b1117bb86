from flask import Blueprint

from museum.models import Coin, minted_before

room = Blueprint("coins", __name__)


@room.route("/coins")
def coins():
    return [f"{Coin.__tablename__}, {minted_before(Coin, 1900)}"]
