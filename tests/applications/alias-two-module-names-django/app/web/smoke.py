from django.apps import apps

from web.main import start

columns = start()[1]
from web import report  # noqa: E402

assert columns == ["id", "grams"]
assert report.Parcel is apps.get_model("post.Parcel")
