EXPORT_FOLDER = None


class NotConfigured(Exception):
    pass


def require(name):
    value = globals()[name]
    if value is None:
        raise NotConfigured(name)
    return value
