from flask import Blueprint

readers = Blueprint("admin", __name__, url_prefix="/admin/readers")


@readers.route("/")
def index():
    return ["readers"]
