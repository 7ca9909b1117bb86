from board.widgets import Page


class Runner:
    """Shows a page; every click runs its script from the top."""

    def __init__(self, path):
        self.path = path

    def show(self, clicked=None):
        page = Page(clicked)
        with open(self.path, encoding="utf-8") as script:
            code = compile(script.read(), self.path, "exec")
        exec(code, {"__name__": "__main__", "__file__": self.path, "page": page})
        return page
