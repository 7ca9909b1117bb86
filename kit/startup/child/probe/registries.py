"""Registries of other libraries as rows of a table: routes, blueprints, tasks, metrics, schemas, models."""

from .bodies import _WATCHED
from .frames import _walk
from .recorder import _emit, _quietly, _text, _thread_name
from .starts import _at_start

# ---- below this line is the text of the probe


_numbers = {}  # id -> (weak reference, number) of what is in a registry, and of registries
_next_number = iter(range(1, 1 << 60)).__next__


def _number_of_object(thing):
    """A number that stands for one object as long as it lives; 0 for what no weak reference can be made to."""
    known = _numbers.get(id(thing))
    if known is None or known[0]() is not thing:
        from _weakref import ref

        try:
            known = _numbers[id(thing)] = (ref(thing), _next_number())
        except TypeError:
            return 0
    return known[1]


def _read_metric(names):
    metric = names["collector"]
    return names["self"], getattr(metric, "_name", None) or type(metric).__qualname__, metric, None


def _read_blueprint(names):
    blueprint, options = names["blueprint"], names.get("options") or {}
    return names["self"], options.get("name", blueprint.name), blueprint, None


def _read_endpoint(names):
    view = names.get("view_func")
    if view is None:
        return None
    methods = names["options"].get("methods") or getattr(view, "methods", None) or ("GET",)
    more = [names["rule"], *sorted(str(method).upper() for method in methods)]
    return names["self"], names.get("endpoint") or getattr(view, "__name__", "?"), view, more


def _read_task(names):
    fun, app, name = names["fun"], names["self"], names.get("name")
    module = app.main if fun.__module__ == "__main__" and app.main else fun.__module__
    return app, name or "%s.%s" % (module, fun.__name__), fun, None


def _read_task_object(names):
    task = names["task"]
    return names["self"], getattr(task, "name", None) or type(task).__qualname__, task, None


def _read_route(names):
    router, methods = names["self"], names.get("methods") or ("GET",)
    path = str(getattr(router, "prefix", "")) + names["path"]
    return router, path, names["endpoint"], sorted(map(str, methods))


def _read_routes(names):
    """The routes and mounts that a router is made with, in a list."""
    for route in names.get("routes") or ():
        endpoint, app = getattr(route, "endpoint", None), getattr(route, "app", None)
        path = getattr(route, "path", None)
        if type(path) is str and endpoint is not None:
            yield names["self"], path, endpoint, sorted(map(str, getattr(route, "methods", None) or ()))
        elif type(path) is str and app is not None:
            yield names["self"], path, getattr(app, "router", app), None


def _read_own_route(names):
    return None, names["path"], names["endpoint"], None


def _read_include(names):
    router = names["self"]
    return router, str(getattr(router, "prefix", "")) + str(names.get("prefix", "")), names["router"], None


def _read_mount(names):
    return names["self"], names["path"], getattr(names["app"], "router", names["app"]), None


def _read_schema(names):
    return None, names["classname"], names["cls"], None


def _read_model(names):
    return names["self"], "%s.%s" % (names["app_label"], names["model"]._meta.model_name), names["model"], None


def _read_app(names):
    config, name = names["self"], names["app_name"]
    return None, getattr(config, "label", None) or name.rpartition(".")[2], config, [_text(name)]


def _read_proto(names):
    """The file and the names that a ``*_pb2`` module is about to add: the pool's own method is C, ``Default()`` is called for it."""
    text = next((c for c in names["f_code"].co_consts if type(c) is bytes and c[:1] == b"\n"), b"")
    package = ""
    for number, value in _proto_fields(text):
        if number == 1:
            yield None, value.decode("utf-8", "replace"), None, None
        elif number == 2:
            package = value.decode("utf-8", "replace") + "."
        elif number in (4, 5, 6):  # messages, enums, services; the values of an enum stand beside it
            names = [inner for of, inner in _proto_fields(value) if of == 1]
            names += [next(_proto_fields(inner))[1] for of, inner in _proto_fields(value) if of == 2 and number == 5]
            for name in names:
                yield None, package + name.decode("utf-8", "replace"), None, None


def _proto_fields(text):
    """``(number, bytes)`` of the fields of a serialized message that have a length; it ends at what it does not know."""
    at = 0
    while at < len(text):
        key, at = _proto_number(text, at)
        size, at = _proto_number(text, at)
        if key & 7 == 2:
            yield key >> 3, text[at : at + size]
            at += size
        elif key & 7:
            return


def _proto_number(text, at):
    value = shift = 0
    while True:
        value |= (text[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if text[at - 1] < 128:
            return value, at


def _read_own_blueprint(names):
    return None, names["name"], names["self"], None


def _read_own_endpoint(names):
    view = names.get("view_func")
    return view and (None, names.get("endpoint") or getattr(view, "__name__", "?"), view, None)


# What a blueprint is given comes to the application later, all at one line.
_BLUEPRINTS = (
    ("blueprint made", "Blueprint", "__init__", _read_own_blueprint),
    ("endpoint made", "Blueprint", "add_url_rule", _read_own_endpoint),
)
# Module -> its registries: the kind, class (or None) and method that registers, and what reads from the method's names
# the registry, the name that is taken, the object that takes it and more of it.
_REGISTRIES = {
    "prometheus_client.registry": (("metric", "CollectorRegistry", "register", _read_metric),),
    "flask.app": (
        ("blueprint", "Flask", "register_blueprint", _read_blueprint),
        ("endpoint", "Flask", "add_url_rule", _read_endpoint),
    ),
    "flask.sansio.app": (
        ("blueprint", "App", "register_blueprint", _read_blueprint),
        ("endpoint", "App", "add_url_rule", _read_endpoint),
    ),
    "flask.blueprints": _BLUEPRINTS,
    "flask.sansio.blueprints": _BLUEPRINTS,
    "celery.app.base": (
        ("task", "Celery", "_task_from_fun", _read_task),
        ("task", "Celery", "register_task", _read_task_object),
    ),
    "starlette.routing": (
        ("route", "Router", "add_route", _read_route),
        ("route", "Router", "__init__", _read_routes),
        ("route made", "Route", "__init__", _read_own_route),
        ("mount", "Router", "mount", _read_mount),
    ),
    "fastapi.routing": (
        ("route", "APIRouter", "add_api_route", _read_route),
        ("include", "APIRouter", "include_router", _read_include),
    ),
    "marshmallow.class_registry": (("schema", None, "register", _read_schema),),
    "google.protobuf.descriptor_pool": (("proto", None, "Default", _read_proto),),
    "django.apps.config": (("app", "AppConfig", "__init__", _read_app),),
    "django.apps.registry": (("model", "Apps", "register_model", _read_model),),
}


def _watch_registries(namespace):
    for kind, owner, name, read in _REGISTRIES[namespace["__name__"]]:
        method = namespace.get(name) if owner is None else vars(namespace[owner]).get(name)
        if method is not None:
            _at_start(method, _entry_door(kind, read))


def _entry_door(kind, read):
    @_quietly
    def see_entry(frame):
        by = frame.f_back
        entries = read({"f_code": by.f_code} if read is _read_proto else frame.f_locals)
        for registry, key, thing, more in (entries,) if type(entries) is tuple else entries or ():
            within, via = _walk(by)
            place = _place_of_thing(thing)
            fields = {"th": _thread_name(), "more": more, "at": place and place[:2], "name": place and place[2]}
            number = 0 if registry is None else _number_of_object(registry)
            present = {name: value for name, value in fields.items() if value is not None}
            of = "mount" if kind == "route" and more is None else kind
            _emit("entry", r=of, i=number, key=_text(key), o=_number_of_object(thing), b=within, via=via, **present)

    return see_entry


def _place_of_thing(thing):
    """``(file, line, qualified name)`` of a function, however it is decorated, or of the class whose view it is; None of anything else."""
    served = getattr(thing, "view_class", None)  # the views of all of them have the code of View.as_view()
    thing = _plain(thing)
    code = getattr(thing, "__code__", None)
    if isinstance(served, type):
        prefix, functions = served.__qualname__ + ".", (type(_plain), staticmethod, classmethod)
        own = [_plain(method) for method in vars(served).values() if type(method) in functions]  # nothing else is asked
        codes = [getattr(it, "__code__", None) for it in own if getattr(it, "__qualname__", "").startswith(prefix)]
        codes = sorted(filter(None, codes), key=lambda code: code.co_firstlineno)
        code, thing = (codes[0], served) if codes else (code, thing)
    name = _text(getattr(thing, "__qualname__", None) or type(thing).__qualname__)
    return None if code is None else (_text(code.co_filename), code.co_firstlineno, name)


def _plain(thing):
    """A function without what decorates it."""
    for _ in range(20):
        inner = getattr(thing, "__wrapped__", None) or getattr(thing, "__func__", None) or getattr(thing, "func", None)
        if inner is None or not callable(inner):
            break
        thing = inner
    return thing


_WATCHED.update(dict.fromkeys(_REGISTRIES, _watch_registries))
