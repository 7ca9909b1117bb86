from web.post.models import Parcel


def columns():
    return [field.name for field in Parcel._meta.fields]
