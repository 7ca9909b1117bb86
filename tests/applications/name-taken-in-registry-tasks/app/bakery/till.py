from bakery.worker import app


@app.task(name="bakery.close")
def close_till():
    return "counted"
