from bakery.models import Loaf
from bakery.worker import app, nights


@app.task
def close():
    return f"no more {Loaf.__tablename__}"


@nights.task(name="bakery.till.close", shared=False)
def bank():
    return "asleep"
