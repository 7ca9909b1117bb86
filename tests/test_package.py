"""The installable package: a wheel, in an environment of its own, does what a checkout does."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT
from showing import APPLICATIONS

from kit import __version__


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Runs a program of an empty environment in which the wheel is installed; what it depends on is in sight from ours."""
    folder = tmp_path_factory.mktemp("package")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, PROJECT]
    subprocess.run(built, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST"))},
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "JUPYTER_PATH": f"{sys.prefix}/share/jupyter",
        "HOME": str(folder),
    }

    def run(*words, cwd=folder):
        program = folder / "env" / "bin" / "incident-kit"
        return subprocess.run([program, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)

    return run, wheel, folder


def test_a_wheel_brings_the_notebooks_the_bundled_incident_and_the_templates(installed):
    _, wheel, _ = installed
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wheel.name.startswith(f"incident_kit-{__version__}-py3")
    for name in (
        "kit/notebooks/postmortem.ipynb",
        "kit/notebooks/start.md",
        "kit/notebooks/incidents/energy_events/incident.yaml",
        "kit/postmortem/template/style.css",
        "kit/startup/child/probe/recorder.py",
    ):
        assert name in names, name


def test_what_is_installed_is_run_from_an_application_to_its_page(installed, tmp_path):
    run, _, folder = installed
    assert run("--version").stdout.strip() == f"incident-kit {__version__}"
    copied = run("notebooks", tmp_path / "mine")
    assert copied.returncode == 0, copied.stderr
    assert "(7 written, 0 kept as they are)" in copied.stdout
    assert "(0 written, 6 kept as they are)" in run("notebooks", tmp_path / "mine").stdout
    language = json.loads((tmp_path / "mine" / "triage.ipynb").read_text())["metadata"]["language_info"]
    assert language["version"] == ".".join(map(str, sys.version_info[:3]))
    page = tmp_path / "page.html"
    shutil.copytree(APPLICATIONS / "second-class-same-table-same-file", tmp_path / "stock")
    file = tmp_path / "stock" / "incident.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    content["app"]["python"] = sys.executable  # the new environment has no SQLAlchemy, as the kit's own need not
    file.write_text(yaml.safe_dump(content), "utf-8")
    done = run("postmortem", file, "-o", page, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = page.read_text("utf-8")
    assert f"incident-kit {__version__}" in shown and "incident-kit postmortem" in shown
    assert str(Path(folder)) not in shown
