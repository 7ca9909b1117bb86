from flask import Blueprint

room = Blueprint("paintings", __name__)


@room.route("/paintings")
def paintings():
    return ["a field of poppies"]
