import os


class Settings:
    def __init__(self):
        self.database = os.environ["DATABASE_URL"]
        self.page_size = int(os.environ.get("PAGE_SIZE", "20"))
        self.signing_key = os.environ["SIGNING_KEY"]
