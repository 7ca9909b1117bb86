from branches.branch import Branch

TOWNS = {"Kiel": "sqlite://", "Bremen": "sqlite://", "Emden": "sqlite://"}


def open_all():
    return [Branch(town, url) for town, url in TOWNS.items()]
