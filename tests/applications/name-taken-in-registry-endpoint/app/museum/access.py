from flask import abort, request


def for_members(view):
    def wrapper(*args, **values):
        if "Authorization" not in request.headers:
            abort(401)
        return view(*args, **values)

    return wrapper
