from celery import shared_task

from bakery.worker import app


@app.task(shared=False)
def close():
    return "counted"


@shared_task(name="bakery.count")
def count():
    return 12
