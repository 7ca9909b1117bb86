"""The kit writes a fix, runs it, and shows only what held."""

import subprocess

import pytest

from kit.verify.propose import edits


def test_an_import_is_renamed_wherever_a_module_is_asked_for_and_the_form_stays():
    text = "import os\nfrom src.shop.models import Order  # the one\nfrom src import shop\nload('src.shop.main:app')\n"
    assert edits.rename_module(text, "src.shop", "shop") == (
        "import os\nfrom shop.models import Order  # the one\nimport shop\nload('shop.main:app')\n"
    )


def test_a_text_that_is_no_python_is_left_alone():
    assert edits.rename_module("from src import (", "src", "app") is None


def test_a_class_gives_way_to_an_import_and_its_neighbours_stay():
    text = "import a\n\n\n# old\nclass Order(Base):\n    id = 1\n\n\nclass Item(Base):\n    pass\n"
    assert edits.replace_class(text, 5, "from shop.models import Order") == (
        "import a\n\n\n# old\nfrom shop.models import Order\n\n\nclass Item(Base):\n    pass\n"
    )


def test_an_import_stands_beside_the_projects_others():
    text = '"""Environment."""\nfrom alembic import context\nfrom app.models import user\nimport os\n\nx = 1\n'
    new = edits.add_import(text, "import app.models.key", after=lambda asked: asked.startswith("app"))
    assert new.splitlines()[2:5] == ["from app.models import user", "import app.models.key", "import os"]


def test_a_reserved_attribute_is_renamed_and_keeps_its_column():
    text = "class Order(Base):\n    metadata = Column(Text)\n"
    assert (
        edits.rename_attribute(text, 1, "metadata", "metadata_")
        == 'class Order(Base):\n    metadata_ = Column("metadata", Text)\n'
    )


def test_a_block_that_would_be_empty_gets_pass():
    assert edits.remove_statement("if x:\n    importlib.reload(y)\nz = 1\n", 2) == "if x:\n    pass\nz = 1\n"


def test_a_file_that_two_names_reach_is_asked_for_by_one_and_the_patch_applies(kit, tmp_path):
    application = "tests/applications/alias-two-module-names"
    answer = kit("propose", application, "--json")
    assert answer.code == 0 and answer.json["verified"]
    best = answer.json["proposals"][0]
    assert best["verdict"] == "cures" and all(check["ok"] for check in best["checks"])
    subprocess.run(["cp", "-r", f"{application}/app", tmp_path / "app"], check=True)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "app", check=True)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path / "app", input=best["patch"], text=True, check=True)


@pytest.mark.slow
def test_the_bundled_incident_is_cured_by_a_proposal_that_grew_over_what_stood_behind(kit, tmp_path):
    answer = kit("propose", "notebooks/incidents/energy_events", "-o", tmp_path / "proposed")
    assert answer.code == 0, answer.out
    assert "keep-models_domain" in answer.out and "rename-reserved" in answer.out
    assert list((tmp_path / "proposed").glob("*.patch")) and "fixes:" in answer.out


@pytest.mark.parametrize("application", ["healthy-import-cycle", "healthy-star-imports", "healthy-two-bases"])
def test_for_a_healthy_application_nothing_is_proposed(kit, application):
    answer = kit("propose", f"tests/applications/{application}", "--json")
    assert answer.code == 3 and answer.json["proposals"] == []
