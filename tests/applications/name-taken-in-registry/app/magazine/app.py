from flask import Flask

from magazine.articles import articles
from magazine.readers import readers


def create_app():
    app = Flask("magazine")
    app.register_blueprint(articles)
    app.register_blueprint(readers)
    return app
