"""A patch changes the copy of the application and nothing else, whatever it names."""

import base64
import hashlib
import zlib
from functools import partial

import pytest

from kit.base.errors import IncidentError
from kit.incident.load import load
from kit.startup.workspace import workspace
from kit.verify.verification import verify


def new(path: str, text: str = "theirs") -> str:
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{text}\n"


def link(path: str, to: str) -> str:
    made = f"diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{to}\n"
    return made + "\\ No newline at end of file\n"


def renamed(how: str, old: str, to: str) -> str:
    return f"diff --git a/{old} b/{to}\nsimilarity index 100%\n{how} from {old}\n{how} to {to}\n"


def change(path: str) -> str:
    return f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-mine\n+theirs\n"


def binary(path: str, size: int) -> str:
    """A patch as git writes it, that makes a file of ``size`` zeros out of a thousandth of them."""
    pieces, out = zlib.compressobj(9), []
    packed = b"".join(pieces.compress(bytes(size >> 4)) for _ in range(16)) + pieces.flush()
    for at in range(0, len(packed), 52):
        piece = packed[at : at + 52]
        length = chr(64 + len(piece)) if len(piece) <= 26 else chr(70 + len(piece))
        out.append(length + base64.b85encode(piece + b"\0" * (-len(piece) % 4)).decode())
    blob = hashlib.sha1(b"blob %d\0" % size + bytes(size)).hexdigest()
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\nindex {'0' * 40}..{blob}\nGIT binary patch\n"
    return head + f"literal {size}\n" + "\n".join(out) + "\n\nliteral 0\nHcmV?d00001\n\n"


# What is tried: the patches of one fix, or what makes each; OUT standing for a folder beside the application, UP for the way to it.
ATTEMPTS = {
    "a new file by ..": [new("UP/new.txt")],
    "a new file by .. inside the path": [new("service/../../UP/new.txt")],
    "a new file by an absolute path": [new("OUT/new.txt")],
    "a change by ..": [change("UP/kept.txt")],
    "a change by an absolute path": [change("OUT/kept.txt")],
    "a change by a quoted path": ['--- "a/UP/kept.txt"\n+++ "b/\\056\\056/x"\n@@ -1 +1 @@\n-mine\n+theirs\n'],
    "a removal by ..": [
        "diff --git a/UP/kept.txt b/UP/kept.txt\ndeleted file mode 100644\n--- a/UP/kept.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-mine\n"
    ],
    "a mode by ..": ["diff --git a/UP/kept.txt b/UP/kept.txt\nold mode 100644\nnew mode 100755\n"],
    "a rename away": [renamed("rename", "UP/kept.txt", "taken.txt")],
    "a rename out": [renamed("rename", "service/main.py", "UP/new.txt")],
    "a copy in": [renamed("copy", "OUT/kept.txt", "taken.txt")],
    "a copy out": [renamed("copy", "service/main.py", "UP/new.txt")],
    "through a link that the patch makes": [link("out", "OUT") + new("out/new.txt")],
    "through a link that an earlier patch makes": [link("out", "OUT"), new("out/new.txt")],
    "through a link to a file": [link("out", "OUT/kept.txt"), change("out")],
    "through a link in the tree": [change("inside/kept.txt")],
    "the folder that commands run in becomes a link": [
        "diff --git a/place/x b/place/x\ndeleted file mode 100644\n--- a/place/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-mine\n",
        link("place", "OUT"),
    ],
    "a hook of git": [new(".git/hooks/post-checkout")],
    "git's configuration": [new(".git/config", "[core]")],
    "git's configuration, in other letters": [new(".GIT/config", "[core]")],
    "git's configuration, below": [new("service/.git/config", "[core]")],
    "a binary file by ..": [partial(binary, "UP/new.bin", 160)],
    "a file of 200 MB in a few bytes": [partial(binary, "big.bin", 200 << 20)],  # which takes a second to make
}


@pytest.fixture
def outside(write_incident, tmp_path):
    """Writes an incident with one fix, and a folder beside it that must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "kept.txt").write_text("mine\n")

    def write(patches: list):
        file = write_incident(
            {"service/__init__.py": "", "service/main.py": "1/0\n", "place/x": "mine\n"},
            app={"workdir": "place"},
            fixes={"hostile": {"patches": [f"{n}.patch" for n in range(len(patches))]}},
        )
        (file.parent / "app" / "inside").symlink_to(folder)
        for n, text in enumerate(one() if callable(one) else one for one in patches):
            way = "../" * 12 + str(folder).lstrip("/")
            (file.parent / f"{n}.patch").write_text(text.replace("OUT", str(folder)).replace("UP", way))
        return file, {path: path.read_bytes() for path in folder.rglob("*")}, folder

    return write


@pytest.mark.attempt("files", "a patch")
@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_patch_cannot_leave_the_copy(name, outside, record_property, monkeypatch):
    """Reading is another thing: a copy of a file outside may come in, as the application may read it too."""
    patches = ATTEMPTS[name]
    monkeypatch.setattr("kit.startup.workspace._MOST_PATCHED", 100 << 20)
    file, before, folder = outside(patches)
    try:
        with workspace(load(file), [file.parent / f"{n}.patch" for n in range(len(patches))]) as space:
            copy = {path.relative_to(space.root) for path in space.root.rglob("*")}
            assert not any(part.lower() == ".git" for path in copy for part in path.parts)
            assert space.workdir.resolve().is_relative_to(space.root)
        verdict = "applied to the copy only"
    except IncidentError as error:
        verdict = "refused"
        assert "patch does not apply" in str(error) or "app.workdir" in str(error)
    record_property("happened", verdict)
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before
    assert verdict == "refused" or name.endswith(("link to a file", "link in the tree", "copy in"))


def test_a_refused_patch_ends_verify_with_exit_2_in_one_message(outside, kit):
    file, before, folder = outside(ATTEMPTS["through a link that the patch makes"])
    said = kit("verify", file)
    assert said.code == 2 and "0.patch: the patch does not apply to this build" in said.err
    assert len([line for line in said.err.splitlines() if "does not apply" in line]) == 1
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before


def test_a_repository_that_the_caller_is_in_is_not_the_one_that_is_patched(outside, monkeypatch, tmp_path):
    """As within a hook of git, which names its own repository in the environment."""
    file, before, folder = outside([change("service/main.py").replace("mine", "1/0")])
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(folder))
    assert verify(load(file)).fixes[0].patches == ("0.patch",)
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before
