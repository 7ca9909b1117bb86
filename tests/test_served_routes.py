"""The routes that an application serves are asked before and after a change, and a page that a change breaks is found."""

import textwrap

from miniatures import python

from kit.diagnose.experiments import patch_of

WEB = """
    from flask import Flask
    from shop.articles import articles
    from shop.readers import readers

    def create_app():
        app = Flask("shop")
        app.register_blueprint(articles)
        app.register_blueprint(readers)

        @app.route("/faulty")
        def faulty():
            return {}["nothing"]

        @app.route("/page/<name>")
        def page(name):
            return name

        @app.post("/orders")
        def order():
            raise SystemExit

        @app.route("/logout")
        def leave():
            raise SystemExit

        return app
"""
ARTICLES = """
    from flask import Blueprint

    articles = Blueprint("admin", __name__, url_prefix="/articles")

    @articles.route("/")
    def index():
        return ["articles"]
"""
READERS = """
    from flask import Blueprint, url_for

    readers = Blueprint("admin", __name__, url_prefix="/readers")
    PAGES = ["late"]

    @readers.route("/")
    def index():
        return [url_for(f"admin.{page}") for page in PAGES]

    @readers.route("/late")
    def late():
        return ["late"]
"""
SHOP = {"shop/__init__.py": "", "shop/web.py": WEB, "shop/articles.py": ARTICLES, "shop/readers.py": READERS}
SERVED = [{"serve": "flask --app shop.web:create_app run --port {port}"}]


def test_a_proposal_that_breaks_a_page_is_refused_where_the_build_as_it_is_served_nothing(kit, write_incident):
    """``/readers/`` asks for an endpoint by a name that is built as it is asked; ``/faulty`` fails whatever is changed."""
    error = "The name 'admin' is already registered for a different blueprint"
    file = write_incident(SHOP, app={"python": python("2.0")}, startup=SERVED, expect={"error": error})
    answer = kit("propose", file, "--json")
    (proposal,) = answer.json["proposals"]
    assert answer.code == 1 and proposal["verdict"] == "undecided"
    assert "/readers/ answers 500" in proposal["because"] and "admin.late" in proposal["because"]
    (routes,) = [check for check in proposal["checks"] if check["check"] == "routes"]
    assert routes["seen"].startswith("GET asked of 4 of 5 routes without a parameter: 2 answer 200; ")
    assert "1 answer 500 (KeyError: 'nothing'): /faulty; " in routes["seen"]
    assert "not asked for what their names say: /logout" in routes["seen"]


def test_a_fix_after_which_a_route_answers_no_more_breaks_and_one_that_failed_before_is_no_matter(kit, write_incident):
    before = textwrap.dedent(READERS).replace('"admin"', '"readers"').replace("admin.{", "readers.{")
    early = before.replace('@readers.route("/late")', '@readers.route("/early")\n@readers.route("/late")')
    file = write_incident(
        {**SHOP, "shop/readers.py": before},
        app={"python": python("2.0")},
        startup=SERVED,
        expect={"check": {"http": {"path": "/readers/early", "status": 200}}},
        checks=[{"routes": True}],
        fixes={"early": {"patches": ["early.patch"]}, "renamed": {"patches": ["renamed.patch"]}},
    )
    for name, after in {"early": early, "renamed": early.replace('["late"]', '["later"]')}.items():
        (file.parent / f"{name}.patch").write_text(patch_of({"shop/readers.py": after}, {"shop/readers.py": before}))
    fixes = {fix["name"]: fix for fix in kit("verify", file, "--json").json["fixes"]}
    assert fixes["early"]["verdict"] == "cures" and fixes["renamed"]["verdict"] == "breaks"
    (routes,) = [check for check in fixes["renamed"]["checks"] if check["check"] == "routes"]
    assert "without the change /readers/ answers 200" in routes["seen"] and not routes["ok"]
