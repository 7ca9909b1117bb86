from clinic import patients, visits  # noqa: F401
