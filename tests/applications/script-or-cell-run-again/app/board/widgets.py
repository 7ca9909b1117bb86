class Page:
    """What a page has shown, and what the reader clicked."""

    def __init__(self, clicked=None):
        self.clicked = clicked
        self.lines = []

    def title(self, text):
        self.lines.append("# " + text)

    def metric(self, name, value):
        self.lines.append("%s: %s" % (name, value))

    def button(self, name):
        self.lines.append("[%s]" % name)
        return self.clicked == name
