from celery import Celery

app = Celery("bakery")
nights = Celery("nights", set_as_current=False)
