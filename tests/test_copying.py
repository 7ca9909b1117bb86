"""Copying a work tree: what a startup needs comes along, what is only large stays behind and is named."""

import os
import socket
import subprocess

import pytest

from kit.incident.copying import copy_tree
from kit.incident.load import load
from kit.startup.run import reproduce

MB = 1 << 20


@pytest.fixture
def tree(tmp_path):
    """Makes a work tree: name to text, or to a size in MB of a file that takes no room."""

    def make(files: dict[str, str | int], git: bool = True):
        root = tmp_path / "tree"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else "")
            if isinstance(content, int):
                os.truncate(path, content * MB)
        if git:
            for words in (["init", "-q"], ["add", "."]):
                subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
        return root

    return make


def copied(root, tmp_path, most=50):
    left = copy_tree(root, tmp_path / "copy", most * MB)
    found = [path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*")]
    assert sum(path.stat().st_size for path in (tmp_path / "copy").rglob("*") if path.is_file()) < 200 * MB
    return set(found), left


IGNORED = "data/\n*.dump\n.env\n_version.py\nconfig.local.py\nseed.db\n"


def test_of_what_git_ignores_only_what_is_large_stays_behind(tree, tmp_path):
    root = tree(
        {
            ".gitignore": IGNORED,
            "shop/main.py": "x",
            "shop/_version.py": "v",
            "config.local.py": "c",
            ".env": "A=b",
            "seed.db": 5,
            "prod.dump": 900,
            **{f"data/{n}.parquet": 40 for n in range(30)},
            "data/settings.json": "{}",
            "data/deep/loader.bin": 1,
            "notes.untracked": "n",
        }
    )
    found, left = copied(root, tmp_path)
    assert {"shop/main.py", "shop/_version.py", "config.local.py", ".env", "seed.db", "notes.untracked"} <= found
    assert {"data", "data/settings.json", "data/deep"} <= found, "the folder and its settings are there"
    assert not [name for name in found if name.endswith((".parquet", ".bin", ".dump"))]
    assert left == [
        ".git (not needed to start: .git)",
        "data (1.2 GB of data that git does not hold; limits.copy_mb is 50)",
        "prod.dump (900 MB that git does not hold; limits.copy_mb is 50)",
    ]


def test_what_git_holds_is_copied_however_large(tree, tmp_path):
    found, left = copied(tree({"model.bin": 60, "main.py": "x"}), tmp_path)
    assert "model.bin" in found and left == [".git (not needed to start: .git)"]


@pytest.mark.parametrize("inside", [False, True], ids=["no repository", "an ignored folder of one"])
def test_without_git_data_folders_stay_behind_and_packages_do_not(inside, tree, tmp_path):
    files = {"shop/main.py": "x", "shop/logo.png": 1, "uploads/1.bin": 40, "uploads/2.bin": 40}
    files |= {"shop/cache/1.bin": 40, "shop/cache/2.bin": 40, "shop/cache/3.bin": 2000}
    root = tree(files, git=False)
    if inside:
        (tmp_path / ".gitignore").write_text("tree\n")
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
    found, left = copied(root, tmp_path)
    assert found == {"shop", "shop/main.py", "shop/logo.png", "shop/cache", "uploads"}
    assert [one.partition(" (")[0] for one in left] == ["shop/cache", "uploads"]


def test_the_limit_is_the_incident_files(tree, tmp_path):
    root = tree({".gitignore": "*.bin", "a.bin": 60}, git=True)
    assert "a.bin" in copied(root, tmp_path, most=100)[0]


def test_links_lead_nowhere_but_into_the_copy(tree, tmp_path):
    outside = tmp_path / "outside"
    (outside / "big").mkdir(parents=True)
    (outside / "lib.py").write_text("shared")
    os.truncate(os.open(outside / "big" / "all.bin", os.O_CREAT | os.O_WRONLY), 900 * MB)
    root = tree({"pkg/main.py": "x"})
    links = {
        "pkg/in": "main.py",
        "lib": outside,
        "top": "/",
        "up": "..",
        "gone": "nowhere",
        "me": ".",
        "procs": "/proc",
    }
    for name, to in links.items():
        (root / name).symlink_to(to)
    (root / "pkg" / "loop").symlink_to(root / "pkg" / "loop")
    found, left = copied(root, tmp_path)
    assert os.readlink(tmp_path / "copy" / "pkg" / "in") == "main.py"
    assert (tmp_path / "copy" / "me").resolve() == tmp_path / "copy"
    assert (tmp_path / "copy" / "lib" / "lib.py").read_text() == "shared" and not (
        tmp_path / "copy" / "lib"
    ).is_symlink()
    said = {one.partition(" (")[0] for one in left}
    assert said == {".git", "lib/big", "gone", "pkg/loop", "procs", "top", "up"}


def test_what_is_neither_file_nor_folder_and_what_cannot_be_read_is_named(tree, tmp_path):
    root = tree({"main.py": "x", "secret.key": "k", "locked/a.py": "a", "__pycache__/a": "", "b/__pycache__/a": ""})
    os.mkfifo(root / "fifo")
    socket.socket(socket.AF_UNIX).bind(os.path.relpath(root / "socket"))
    for name in ("secret.key", "locked"):
        (root / name).chmod(0)
    unreadable = ["locked (unreadable)", "secret.key (unreadable)"] if os.getuid() else _as_nobody(root)
    found, left = copied(root, tmp_path)
    assert {"main.py"} <= found and not {"fifo", "socket"} & found
    expected = [".git (not needed to start: .git)", "2 folders not needed to start: __pycache__"]
    expected += ["fifo (neither file nor folder)", "socket (neither file nor folder)"]
    assert sorted(set(left) | set(unreadable)) == sorted([*expected, "locked (unreadable)", "secret.key (unreadable)"])


def _as_nobody(root) -> list[str]:
    """What a user who may not read everything is told."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        os.rename(root, f"{folder}/tree")
        read, write = os.pipe()
        if not os.fork():
            os.setuid(65534)
            left = copy_tree(type(root)(folder, "tree"), type(root)(folder, "copy"), MB)
            os.write(write, "\n".join(one for one in left if "unreadable" in one).encode())
            os._exit(0)
        os.wait()
        os.rename(f"{folder}/tree", root)
        return os.read(read, 9999).decode().splitlines()


def test_names_that_are_no_text_are_copied_and_can_be_shown(tree, tmp_path):
    root = tree({"main.py": "x"}, git=False)
    with open(os.fsencode(root) + b"/\xff.bin", "wb") as file:
        file.truncate(70 * MB)
    left = copied(root, tmp_path)[1]
    assert left[0].startswith("\ufffd.bin (70 MB") and left[0].encode()


def test_what_stayed_behind_is_in_the_provenance(write_incident, monkeypatch):
    file = write_incident({"service/__init__.py": "", "service/main.py": "open('data/x', 'w')"}, limits={"copy_mb": 1})
    (file.parent / "app" / "data").mkdir()
    (file.parent / "app" / "data" / "a.bin").write_bytes(bytes(3 * MB))
    trace = reproduce(load(file))
    assert trace.steps[0].ok, "the folder is there"
    assert trace.provenance["left_behind"] == ["data (3 MB of data that git does not hold; limits.copy_mb is 1)"]
