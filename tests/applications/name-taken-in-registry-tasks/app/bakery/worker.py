from celery import Celery

app = Celery("bakery")
app.conf.task_always_eager = True
