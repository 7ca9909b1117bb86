from flask import Blueprint

from magazine.models import Article

articles = Blueprint("admin", __name__, url_prefix="/admin/articles")


@articles.route("/")
def index():
    return [Article.__tablename__]
