from bakery.models import Loaf
from bakery.worker import app


@app.task(name="bakery.close")
def close_oven():
    return f"no more {Loaf.__tablename__}"
