"""A real browser for the tests: Debian's Chromium, and JupyterLab as `make lab` starts it."""

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_BROWSER = "not tried: there is no Chromium on this machine (Debian: apt-get install chromium)"
# Without them Chromium itself asks for updates and the like, at every start.
_QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_QUIET += ["--disable-component-update", "--disable-sync"]


# Words of at most 24 letters in the cells of some tables that stand on two lines: a range within one has one rectangle.
BROKEN_WORDS = """selector => {
    const broken = [];
    for (const cell of document.querySelectorAll(`${selector} th, ${selector} td`)) {
        const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const text = walker.currentNode;
            if (!text.parentElement.checkVisibility() || text.parentElement.closest('pre, .kit-sides')) continue;
            for (const word of text.data.matchAll(/[A-Za-z0-9_]{2,24}/g)) {
                const range = document.createRange();
                range.setStart(text, word.index);
                range.setEnd(text, word.index + word[0].length);
                const tops = new Set([...range.getClientRects()].map(one => Math.round(one.top)));
                if (tops.size > 1) broken.push(word[0]);
            }
        }
    }
    return broken;
}"""


def needs_browser(item) -> None:
    """Pass over a test in a browser where there is none, all of them in one line; in CI that is a failure."""
    if CHROMIUM is None and "chromium" in item.fixturenames:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium, one for all tests of a worker."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=_QUIET, chromium_sandbox=os.getuid() != 0, timeout=60_000
        )
        yield browser
        browser.close()


class Watched:
    """What a page did that it must not do: what it asked for elsewhere, what ran, what it complained of."""

    def __init__(self, context, own: str):
        self.own, self.asked, self.dialogs, self.complaints, self.crashes, self.hits = own, [], [], [], [], []
        context.expose_function("hostileTextActed", lambda name: self.hits.append(name))
        context.add_init_script("Object.defineProperty(window, '__hit', {set: name => window.hostileTextActed(name)})")
        context.on("request", lambda request: self._ask(request.url))
        context.on("page", self._page)

    def _ask(self, url: str) -> None:
        if not url.startswith((self.own, "data:", "blob:")):
            self.asked.append(url)

    def _page(self, page) -> None:
        page.on("websocket", lambda socket: self._ask(socket.url.replace("ws", "http", 1)))
        page.on("dialog", self._dialog)
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.crashes.append(str(error)))

    def _dialog(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@contextmanager
def watched(chromium, own: str, **settings):
    """A context of its own, and what it did."""
    context = chromium.new_context(**settings)
    context.set_default_timeout(60_000)
    try:
        yield context, Watched(context, own)
    finally:
        context.close()


def processes_of(folder: Path, name: str) -> list[int]:
    """Processes whose command line holds ``name`` and that were started, by whomever, with this temporary folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if name.encode() in command and str(folder).encode() in environment:
            found.append(int(entry.name))
    return found


def free_port() -> int:
    """A port that nobody listens on, and that no connection is given by chance while the server starts."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


class Lab:
    """JupyterLab under `make lab`, on the notebooks that it copies, and a browser's page that it is open in."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.token, self.port = secrets.token_hex(8), free_port()
        self.address = f"http://127.0.0.1:{self.port}/"
        own = {name: str(folder / name.lower()) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
        own |= {name: str(folder / name.lower()) for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "XDG_CACHE_HOME")}
        own["TMPDIR"] = str(folder / "tmp")  # what a run leaves behind would lie here
        for place in own.values():
            Path(place).mkdir()
        flags = f"--no-browser --ServerApp.ip=127.0.0.1 --ServerApp.port={self.port} --ServerApp.port_retries=0"
        flags += f" --IdentityProvider.token={self.token}"
        flags += " --LabApp.expose_app_in_browser=True"
        self.log = open(folder / "server.log", "wb")  # noqa: SIM115 - as long as the server
        self.server = subprocess.Popen(
            [
                "make",
                "-o",
                ".venv/.installed",
                "-o",
                ".venv/.lab",
                "lab",
                f"LAB={flags}",
                f"LAB_FOLDER={self.notebooks}",
            ],
            cwd=PROJECT,
            env={**os.environ, **own},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def wait(self) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.address}api/status?token={self.token}", timeout=5).close()
                return
            except OSError as error:
                if time.monotonic() > until or self.server.poll() is not None:
                    said = (self.folder / "server.log").read_text("utf-8", "replace")
                    raise RuntimeError(f"JupyterLab did not come up: {error}\n{said[-3000:]}") from None
                time.sleep(0.1)

    def enter(self, context) -> None:
        """Open the page as `make lab` does, and wait until it is drawn."""
        self.page = context.new_page()
        self.enter_again()

    def enter_again(self) -> None:
        self.page.goto(f"{self.address}?token={self.token}")
        self.page.wait_for_function("window.jupyterapp && jupyterapp.shell.currentWidget")
        self.page.evaluate("async () => { await jupyterapp.restored; }")

    def open(self, name: str, *, kernel: bool = True) -> None:
        """Open a notebook and wait until its kernel answers."""
        self.page.evaluate(
            """async ([path, kernel]) => {
                const widget = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
                await widget.context.ready;
                await widget.revealed;
                while (jupyterapp.shell.currentWidget !== widget) await new Promise(done => setTimeout(done, 20));
                if (!kernel) return;
                await widget.sessionContext.ready;
                await widget.sessionContext.session.kernel.info;
            }""",
            [name, kernel],
        )

    def change(self, **parameters: str) -> None:
        """Write parameters into the cell that holds them."""
        self.page.evaluate(
            """parameters => {
                const cells = jupyterapp.shell.currentWidget.content.widgets.map(one => one.model);
                const cell = cells.find(one => (one.getMetadata('tags') || []).includes('parameters'));
                let source = cell.sharedModel.getSource();
                for (const [name, value] of Object.entries(parameters)) {
                    const changed = source.replace(new RegExp(`^${name} = "[^"]*"`, 'm'), `${name} = ${JSON.stringify(value)}`);
                    if (changed === source) throw new Error(`no parameter ${name}`);
                    source = changed;
                }
                cell.sharedModel.setSource(source);
            }""",
            parameters,
        )

    def write_parameters(self, source: str) -> None:
        """Write the whole cell that holds the parameters."""
        self.page.evaluate(
            """source => jupyterapp.shell.currentWidget.content.widgets.map(one => one.model)
                .find(one => (one.getMetadata('tags') || []).includes('parameters')).sharedModel.setSource(source)""",
            source,
        )

    def run(self) -> bool:
        """Run all cells and save; False when a cell raised."""
        return self.page.evaluate(
            """async () => {
                const widget = jupyterapp.shell.currentWidget;
                const done = await jupyterapp.commands.execute('notebook:run-all-cells');
                await widget.context.save();
                return done;
            }"""
        )

    def begin(self) -> None:
        """Run all cells, and do not wait."""
        self.page.evaluate("() => { window.running = jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def in_sight(self, text: str) -> None:
        """Wait until an output that holds a text is in the notebook's window; a test fails where it does not come."""
        self.page.wait_for_function(
            """text => {
                const window_ = jupyterapp.shell.currentWidget.node.getBoundingClientRect();
                return [...document.querySelectorAll('.jp-OutputArea-output')].some(one => {
                    const at = one.getBoundingClientRect();
                    return one.textContent.includes(text) && at.top >= window_.top && at.top < window_.bottom;
                });
            }""",
            arg=text,
            timeout=15_000,
        )

    def end(self) -> bool:
        """Wait for what was begun; False when a cell raised."""
        return self.page.evaluate("async () => await window.running")

    def ask(self, code: str) -> str:
        """What a further cell prints in the kernel of the open notebook; its error, where it has one."""
        return self.page.evaluate(
            """async code => {
                const asked = jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code});
                let said = '';
                asked.onIOPub = message => { said += message.content.text || (message.content.traceback || []).join('\\n'); };
                await asked.done;
                return said;
            }""",
            code,
        )

    def until(self, there, seconds: float = 60) -> None:
        """Wait for something outside the browser."""
        end = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < end, "it did not come to be"
            self.page.wait_for_timeout(100)

    def read(self) -> list[dict]:
        """Every code cell, as the browser draws it: source, count, trust, kinds and visible text of its outputs."""
        return self.page.evaluate(
            """async () => {
                const notebook = jupyterapp.shell.currentWidget.content;
                const read = [];
                for (const [index, cell] of notebook.widgets.entries()) {
                    if (cell.model.type !== 'code') continue;
                    await notebook.scrollToItem(index, 'start');
                    await cell.ready;
                    await new Promise(requestAnimationFrame);
                    const kinds = [...cell.node.querySelectorAll('.jp-OutputArea-output')].map(one => one.dataset.mimeType);
                    const images = [...cell.node.querySelectorAll('.jp-OutputArea-output img')];
                    await Promise.all(images.map(one => one.decode().catch(() => null)));
                    read.push({
                        source: cell.model.sharedModel.getSource(),
                        count: cell.model.executionCount,
                        trusted: cell.model.trusted,
                        kinds,
                        tables: cell.node.querySelectorAll('.jp-OutputArea-output table').length,
                        folds: cell.node.querySelectorAll('.jp-OutputArea-output details').length,
                        pictures: images.filter(one => one.naturalWidth > 0).length,
                        lost: images.filter(one => one.naturalWidth === 0).length,
                        text: [...cell.node.querySelectorAll('.jp-OutputArea-output')].map(one => {
                            const copy = one.cloneNode(true);  // a drawing, and a style sheet, are there for whoever trusts it
                            copy.querySelectorAll('style, .kit-live').forEach(drawn => drawn.remove());
                            return copy.textContent;
                        }).join('\\n'),
                        height: cell.node.offsetHeight,
                        links: [...cell.node.querySelectorAll('.jp-OutputArea-output a')].map(one => one.href),
                        width: Math.max(0, ...[...cell.node.querySelectorAll('.jp-OutputArea-output')].map(one => one.scrollWidth - one.clientWidth)),
                    });
                }
                return read;
            }"""
        )

    def theme(self, name: str) -> None:
        """Light or Dark."""
        self.page.evaluate(
            "name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", f"JupyterLab {name}"
        )
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=f"JupyterLab {name}")

    def unreadable(self, widths: tuple[int, ...] = (1280, 768, 375)) -> dict[str, list]:
        """What of the open notebook's outputs breaks words, goes out to the side, or breaks a rule of axe, at some widths."""
        from axe_playwright_python.sync_playwright import Axe

        self.page.wait_for_selector(
            ".jp-OutputArea-output", state="attached"
        )  # on a machine with much to do, seconds later
        self.page.evaluate(
            "document.querySelectorAll('.jp-OutputArea-output details').forEach(one => { one.open = true; })"
        )
        wide = """() => [...document.querySelectorAll('.jp-OutputArea-output')].filter(one => one.scrollWidth > one.clientWidth + 1)
            .map(one => one.textContent.slice(0, 60))"""
        violations, cut = [], []
        for width in widths:
            self.page.set_viewport_size({"width": width, "height": 6000 if width > 800 else 12_000})
            # On a small screen people close the list of files, which would cover it.
            self.page.evaluate(f"jupyterapp.shell.{'expandLeft' if width > 800 else 'collapseLeft'}()")
            self.page.wait_for_timeout(500)
            rules = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": width == 1280}}}
            found = Axe().run(self.page, context={"include": [[".jp-OutputArea-output"]]}, options=rules)
            violations += [(one["id"], width, one["nodes"][0]["html"]) for one in found.response["violations"]]
            cut += [(width, text) for text in self.page.evaluate(wide)]
        self.page.set_viewport_size({"width": 1280, "height": 6000})
        self.page.evaluate("jupyterapp.shell.expandLeft()")
        return {
            "words": self.page.evaluate(BROKEN_WORDS, ".jp-OutputArea-output table:not(.dataframe)"),
            "wide": cut,
            "axe": violations,
        }

    def close_all(self) -> None:
        """Close what is open and end the kernels."""
        self.page.evaluate(
            """async () => {
                await jupyterapp.serviceManager.sessions.shutdownAll();
                for (const widget of [...jupyterapp.shell.widgets('main')]) { widget.context?.model && (widget.context.model.dirty = false); widget.close(); }
                while ([...jupyterapp.shell.widgets('main')].some(widget => widget.context)) await new Promise(done => setTimeout(done, 50));
            }"""
        )

    def as_received(self, name: str) -> str:
        """The notebook as somebody else's: no signature of this user fits it. The new name."""
        content = json.loads((self.notebooks / name).read_text("utf-8"))
        content["metadata"]["received"] = True
        (self.notebooks / f"received-{name}").write_text(json.dumps(content), "utf-8")
        return f"received-{name}"

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.server.pid, number)
                self.server.wait(20)
                break
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.log.close()


@pytest.fixture(scope="session")
def lab(chromium, tmp_path_factory):
    """JupyterLab, open in the browser on what `make lab` shows first."""
    one = Lab(tmp_path_factory.mktemp("lab"))
    try:
        one.wait()
        with watched(chromium, one.address, viewport={"width": 1400, "height": 1000}) as (context, seen):
            one.seen = seen
            one.enter(context)
            yield one
    finally:
        one.stop()
