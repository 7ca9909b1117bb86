"""What is said of migrations: which revision stopped, what is then undecided, and which model ``env.py`` does not see."""

import pytest
from test_hiding_fixes import patch_of

from kit.diagnose.decision import Decision, decide_mechanism
from kit.diagnose.definitions import compare
from kit.diagnose.diagnosis import diagnose
from kit.diagnose.experiments import with_steps
from kit.diagnose.observation import look_at
from kit.incident.load import load
from kit.startup.migrations import alembic_words, flask_application
from kit.verify.verification import verify

BASE = "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n"
INI = "[alembic]\nscript_location = migrations\nprepend_sys_path = .\n"
ENV = """
    import os
    from alembic import context
    from sqlalchemy import create_engine
    {imports}

    with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
        context.configure(connection=connection, target_metadata={target})
        with context.begin_transaction():
            context.run_migrations()
"""


def model(class_: str, table: str, *columns: str, base="service.base", more="") -> str:
    lines = [f"    __tablename__ = '{table}'", "    id = Column(Integer, primary_key=True)"]
    lines += [f"    {column} = Column(Integer)" for column in columns]
    return (
        f"from sqlalchemy import Column, Integer\nfrom {base} import Base\nclass {class_}(Base):\n"
        + "\n".join(lines)
        + "\n"
    )


def revision(name: str, before: str | None, *lines: str) -> str:
    head = f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = {name!r}, {before!r}\ndef upgrade():\n"
    return head + "".join(f"    {line}\n" for line in lines)


def table(name: str, *columns: str) -> str:
    of = "".join(f", sa.Column({column!r}, sa.Integer)" for column in columns)
    return f"op.create_table({name!r}, sa.Column('id', sa.Integer, primary_key=True){of})"


def service(models: dict[str, str], revisions: dict[str, str], imports: str, target="Base.metadata") -> dict[str, str]:
    env = ENV.format(imports=f"{imports}; from service.base import Base", target=target)
    files = {"service/__init__.py": "", "service/base.py": BASE, "alembic.ini": INI, "migrations/env.py": env, **models}
    return files | {f"migrations/versions/{name}.py": text for name, text in revisions.items()}


UPGRADE = [{"command": "alembic upgrade head"}]
OF_THE_IMAGE = {"command": "sed -i 's#/srv/orders#.#' alembic.ini"}
STOPS = {
    "a1": revision("a1", None, table("orders")),
    "b2": revision("b2", "a1", "op.execute('insert into nowhere values (1)')"),
    "c3": revision("c3", "b2", table("customers", "rank")),
}


def test_a_revision_that_stops_is_named_and_nothing_is_said_of_what_the_others_make(write_incident, tmp_path):
    models = {
        "service/customers.py": model("Customer", "customers", "rank"),
        "service/legacy.py": model("OldCustomer", "customers"),
        "service/main.py": "import service.customers\nimport service.legacy\n",
    }
    files = service(models, STOPS, "import service.customers")
    named = "    __tablename__ = 'customers'\n"
    merged = f"{named}    __table_args__ = {{'extend_existing': True}}\n"
    fixes = {
        "removed": patch_of(tmp_path / "case", "removed", files, "service/main.py", "import service.legacy\n", ""),
        "merged": patch_of(tmp_path / "case", "merged", files, "service/legacy.py", named, merged),
    }
    expect = {"error": "Table 'customers' is already defined"}
    checks = [{"migrations": "alembic.ini"}, {"mappers": True}]
    incident = load(write_incident(files, fixes=fixes, expect=expect, checks=checks))
    looked = look_at(incident)
    agrees = compare(*decide_mechanism(incident, looked).pair, looked.created, looked.stopped).agrees
    at = "revision b2, at migrations/versions/b2.py:5: OperationalError: (sqlite3.OperationalError) no such table: nowhere"
    assert agrees == f"undecided: a revision stopped before all was made: {at}"
    verification = verify(incident)
    assert {fix.name: fix.verdict for fix in verification.fixes} == {"removed": "cures", "merged": "hides"}
    said = " ".join(check.seen for fix in verification.fixes for check in fix.checks)
    assert "the database is at no revision, head is c3: what the models name is not compared" in said
    assert "no migration creates" not in said
    # In the startup, its line stands in the check.
    upgrade = load(write_incident(files, folder="upgrade", startup=UPGRADE, checks=checks[:1]))
    [check] = look_at(upgrade).checks
    assert "the revision in migrations/versions/b2.py stopped the run at migrations/versions/b2.py:5" in check.seen
    assert "no migration creates" not in check.seen


def decided(file) -> tuple[str, list[str], Decision]:
    incident = load(file)
    decision = decide_mechanism(incident, look_at(incident))
    return decision.finding.mechanism, [str(place) for place in decision.fault.places], decision


TWO = {"a1": revision("a1", None, table("orders"), table("parcels"))}


TWO_DATABASES = """
    import os
    from alembic import context
    from service.models import Base, Other
    from sqlalchemy import create_engine

    for url, base in ((os.environ["DATABASE_URL"], Base), ("sqlite:///other.db", Other)):
        with create_engine(url).connect() as connection:
            context.configure(connection=connection, target_metadata=base.metadata)
            with context.begin_transaction():
                context.run_migrations(base=base)
"""


def test_migrations_of_two_databases_that_are_both_at_head_accuse_nothing(write_incident):
    models = BASE + "Other = declarative_base()\n" + model("Order", "orders", base="service.base")
    models = (
        models.replace("from service.base import Base\n", "") + "class Entry(Other):\n    __tablename__ = 'entries'\n"
    )
    upgrade = f"if 'orders' in base.metadata.tables: {table('orders')}"
    made = revision("a1", None, upgrade, f"if 'entries' in base.metadata.tables: {table('entries')}")
    files = {
        "service/__init__.py": "",
        "service/models.py": models + "    id = Column(Integer, primary_key=True)\n",
        "alembic.ini": INI,
        "migrations/env.py": TWO_DATABASES,
        "migrations/versions/a1.py": made.replace("upgrade()", "upgrade(base)"),
    }
    checks = [{"migrations": "alembic.ini"}]
    looked = look_at(load(write_incident(files, startup=UPGRADE, expect={}, checks=checks)))
    assert [(check.ok, check.seen) for check in looked.checks] == [(True, "at head a1; models and schema agree")]


def test_env_py_finds_the_applications_module_where_one_of_the_kits_has_its_name(write_incident):
    """Alembic is asked by a script of the kit's, beside which lie a module ``guard`` and a package ``probe``."""
    files = service({"service/orders.py": model("Order", "orders")}, {"a1": revision("a1", None, table("orders"))}, "")
    env = files["migrations/env.py"].replace(
        "; from", "from guard import rules; from probe import depth; from service import orders; from"
    )
    files |= {"alembic.ini": INI.replace("prepend_sys_path = .\n", ""), "migrations/env.py": env}
    files |= {"guard.py": "rules = []\n", "probe/__init__.py": "depth = 3\n"}
    incident = load(write_incident(files, startup=UPGRADE, checks=[{"migrations": "alembic.ini"}]))
    found = diagnose(incident)
    assert not found.reproduced and found.finding.mechanism == "none", found.finding


@pytest.mark.parametrize(
    ("step", "application", "words"),
    [
        ("export FLASK_APP=shop && flask db upgrade", ("shop", ""), []),
        ("alembic -x 'dsn=a;b' -n orders upgrade head; pip show alembic", ("", ""), ["-x", "dsn=a;b", "-n", "orders", "upgrade", "head"]),
        (".venv/bin/alembic -c ../alembic.ini -n orders upgrade head", ("", ""), ["-c", "../alembic.ini", "-n", "orders", "upgrade", "head"]),
        ("cd 'no end", ("", ""), []),
    ],
)  # fmt: skip
def test_what_the_steps_tell_flask_and_alembic_is_read_command_by_command(step, application, words, write_incident):
    incident = load(write_incident({"service/main.py": ""}, startup=[{"command": step}]))
    assert (flask_application(incident), alembic_words(incident, "/copy/alembic.ini")) == (application, words)


def test_alembic_is_asked_with_the_section_and_the_arguments_that_the_startup_gives_it(write_incident):
    files = service({"service/orders.py": model("Order", "orders")}, {"a1": revision("a1", None, table("orders"))}, "")
    env = files["migrations/env.py"].replace("; from", "import service.orders; from")
    tenant = 'assert context.get_x_argument(as_dictionary=True)["tenant"] == "a b"\n    with create_engine'
    files |= {
        "alembic.ini": INI.replace("[alembic]", "[orders]"),
        "migrations/env.py": env.replace("with create_engine", tenant),
    }
    files["stock/alembic.ini"] = INI.replace(
        "[alembic]", "[stock]"
    )  # what another file is read with is not for this one
    startup = [
        "alembic -n orders -x 'tenant=a b' upgrade head && echo -c done",
        "alembic -c stock/alembic.ini -n stock history",
    ]
    startup = [{"command": line} for line in startup]
    diagnosis = diagnose(load(write_incident(files, startup=startup, checks=[{"migrations": "alembic.ini"}])))
    assert not diagnosis.reproduced and diagnosis.finding.mechanism == "none", diagnosis.finding


def test_a_revision_that_only_another_environment_has_is_told_with_its_file(write_incident):
    sections = (
        f"[orders]\nscript_location = orders\n[stock]\nscript_location = stock\n[DEFAULT]\n{INI.splitlines()[-1]}\n"
    )
    files = {"service/__init__.py": "", "service/base.py": BASE, "alembic.ini": sections}
    for name in ("orders", "stock"):
        files[f"{name}/env.py"] = ENV.format(imports="from service.base import Base", target="Base.metadata")
        files[f"{name}/versions/{name}1.py"] = f"revision = '{name}1'\ndown_revision = None\ndef upgrade(): ...\n"
    startup = [{"command": f"alembic --name {name} upgrade head"} for name in ("orders", "stock")]
    mechanism, places, decision = decided(write_incident(files, startup=startup, expect={}))
    assert mechanism == "unknown-revision"
    assert places == ["stock/versions/stock1.py:2", "orders/versions/orders1.py:2"]
    assert decision.experiment.outcome == "confirmed"


@pytest.mark.parametrize("ahead", [True, False], ids=["the database is at it", "a file follows it"])
def test_a_revision_that_no_history_knows_may_be_of_a_newer_build_where_the_database_is_at_it(ahead, write_incident):
    order = {f"r{n}": f"r{n - 1}" if n else None for n in range(12)} | ({} if ahead else {"after": "zz"})
    text = "revision = {!r}\ndown_revision = {!r}\ndef upgrade(): ...\n"
    revisions = {name: text.format(name, before) for name, before in order.items()}
    files = service({}, revisions, "import service.base")
    stamp = "UPDATE alembic_version SET version_num = 'zz'"
    files["stamp.py"] = f"""
        import os
        from sqlalchemy import create_engine, text
        with create_engine(os.environ["DATABASE_URL"]).begin() as connection:
            connection.execute(text("{stamp}"))
    """
    prepare = [*UPGRADE, {"command": "python stamp.py"}] if ahead else []
    mechanism, _, decision = decided(write_incident(files, startup=UPGRADE, prepare=prepare, expect={}))
    assert mechanism == "unknown-revision"
    known, origin = decision.finding.because[1:3]
    assert known.startswith("revisions that are there: … ") and len(known) < 150
    assert ("a newer build, or another branch's" in origin) is ahead


def test_alembic_check_as_the_startup_tells_which_module_env_py_does_not_import(write_incident):
    models = {"service/orders.py": model("Order", "orders"), "service/parcels.py": model("Parcel", "parcels")}
    startup = [*UPGRADE, {"command": "alembic check"}]
    file = write_incident(
        service(models, TWO, "import service.orders"), startup=startup, expect={"error": "remove_table"}
    )
    assert decided(file)[:2] == ("model-module-not-imported-by-env", ["service/parcels.py:3"])


@pytest.mark.slow
def test_of_a_package_with_two_roots_the_one_that_env_py_does_not_import_is_named(write_incident, tmp_path):
    models = {
        "service/sales/__init__.py": "from service.sales import orders\n",
        "service/sales/orders.py": model("Order", "orders"),
        "service/stock/__init__.py": "from service.stock import parcels\n",
        "service/stock/parcels.py": model("Parcel", "parcels"),
        "service/main.py": "import service.sales, service.stock\n1 / 0\n",
    }
    startup = [*UPGRADE, {"import": "service.main"}]
    files = service(models, TWO, "import service.sales")
    diagnosis = diagnose(load(write_incident(files, startup=startup)))
    mechanism, places = diagnosis.finding.mechanism, [str(place) for place in diagnosis.sites]
    remedies = {model.named.table: model.remedy for model in diagnosis.unseen}
    # What raises nothing is not told as why a step fails.
    beside = "whether it is why step 2 (import: service.main) fails was not tested: ZeroDivisionError: division by zero"
    assert diagnosis.finding.because[-1] == beside
    assert (mechanism, places) == ("model-module-not-imported-by-env", ["service/stock/parcels.py:3"])
    assert remedies == {"parcels": "import service.stock.parcels"}
    # Where nothing else is wrong, a fix that leaves it leaves the incident: no error is told to be gone.
    main = "service/main.py"
    files |= {main: "import service.sales, service.stock\n"}
    changes = {
        "comment": (main, "import service.sales", "# nothing else\nimport service.sales"),
        "env": ("migrations/env.py", "import service.sales", "import service.main"),
    }
    fixes = {name: patch_of(tmp_path / "quiet", name, files, *change) for name, change in changes.items()}
    verification = verify(load(write_incident(files, folder="quiet", startup=startup, fixes=fixes)))
    said = {fix.name: (fix.verdict, fix.because) for fix in verification.fixes}
    assert said["comment"] == ("does-not-cure", f"nothing is raised, and still there is {mechanism}")
    assert said["env"][0] == "cures"
    assert verification.fixes[1].checks[0].seen == f"no longer seen: {mechanism}"


def test_a_table_that_a_swallowed_import_leaves_out_is_missing_though_a_revision_makes_it(write_incident):
    models = {
        "service/orders.py": model("Order", "orders"),
        "service/parcels.py": "import nosuch_library\n" + model("Parcel", "parcels"),
        "service/models.py": "import service.orders\ntry:\n    import service.parcels\nexcept ImportError:\n    pass\n",
    }
    startup = [*UPGRADE, {"command": "alembic check"}]
    mechanism, places, _ = decided(write_incident(service(models, TWO, "import service.models"), startup=startup))
    assert mechanism == "import-failure-swallowed"
    assert places == ["service/parcels.py:1", "service/models.py:4"]


RECORDS = """
    import os
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session
    from service.sales.models import User
    from service.stock.models import User as Other

    def record():
        with Session(create_engine(os.environ["DATABASE_URL"])) as session:
            session.add(Other(rank=1))
            session.commit()
"""


def test_of_two_metadata_with_one_class_and_table_name_the_one_that_env_py_does_not_hand_over_is_named(write_incident):
    models = {f"service/{name}/__init__.py": "" for name in ("sales", "stock")}
    models |= {f"service/{name}/base.py": BASE for name in ("sales", "stock")}
    models["service/sales/models.py"] = model("User", "users", "age", base="service.sales.base")
    extra = model("Extra", "extras", base="service.stock.base").partition("Base\n")[2]
    models["service/stock/models.py"] = model("User", "users", "rank", base="service.stock.base") + extra
    files = service({**models, "service/main.py": RECORDS}, {"a1": revision("a1", None, table("users", "age"))}, "")
    files["migrations/env.py"] = ENV.format(imports="from service.sales.models import Base", target="Base.metadata")
    file = write_incident(files, startup=[*UPGRADE, {"call": "service.main:record"}])
    diagnosis = diagnose(load(file))
    assert diagnosis.finding.mechanism == "table-on-metadata-alembic-does-not-migrate"
    assert [str(place) for place in diagnosis.sites] == ["service/stock/models.py:3", "service/stock/models.py:7"]
    said = " ".join(diagnosis.finding.because)
    assert "made at service/sales/base.py:2, where service/sales/models.py:3 defines another table of this name" in said
    assert "has no column named rank" in said and not diagnosis.trace.signs, "the mechanism is what raises it"
    remedies = {unseen.named.table: unseen.remedy for unseen in diagnosis.unseen}
    on = "its metadata, made at service/stock/base.py:2, is not the one that env.py hands over: "
    other = "rename one, as service/sales/models.py:3 has this name too"
    assert remedies == {"users": on + other, "extras": on + "give env.py both, or use one Base"}


@pytest.mark.parametrize(
    ("heads", "shown"),
    [
        ({"a1": ("a1", None, table("orders")), "b1": ("b1", None, table("orders"))}, "comes as far as a revision that fails"),
        ({"a": ("a1", None, "pass"), "b": ("b2", "a1", "pass"), "c": ("c3", "a1", "pass"), "d": ("c3", "b2", "pass")}, "that error is gone, and every step succeeds"),
    ],
    ids=["two histories that create one table", "one id in two files"],
)  # fmt: skip
def test_heads_that_no_merge_revision_brings_together_are_several_heads_all_the_same(heads, shown, write_incident):
    """A merge revision of two histories cannot pass, and shows all the same that the heads were what stopped it."""
    heads = {
        file: revision(*parts).replace("revision, down_revision = ", f"revision = {parts[0]!r}\ndown_revision = {parts[1]!r}  # ")
        for file, parts in heads.items()
    }  # fmt: skip
    files = service({"service/orders.py": model("Order", "orders")}, heads, "import service.orders")
    files["migrations/env.py"] = files["migrations/env.py"].replace(
        'os.environ["DATABASE_URL"]', 'context.config.get_main_option("sqlalchemy.url")'
    )
    files["alembic.ini"] = INI + "sqlalchemy.url = postgresql://db/orders\n"
    named = {"command": "sed -i -E 's#postgresql://.*#{database_url}#' alembic.ini"}
    kept = [named["command"], OF_THE_IMAGE["command"]]
    incident = load(write_incident(files, startup=UPGRADE, prepare=[named, OF_THE_IMAGE, {"command": "python -V"}]))
    assert [step.text for step in with_steps(incident, incident.startup, []).prepare] == kept
    decision = decide_mechanism(incident, look_at(incident))
    assert decision.finding.mechanism == "several-heads", decision.finding
    assert decision.experiment.outcome == "confirmed" and shown in decision.experiment.seen
