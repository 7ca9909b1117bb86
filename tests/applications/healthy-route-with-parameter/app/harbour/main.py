from fastapi import FastAPI

from harbour import adrift, buoys

app = FastAPI()
app.include_router(adrift.router)
app.include_router(buoys.router)


@app.post("/buoys/{name}")
def moor(name: str):
    return {"moored": name}


@app.get("/buoys/{buoy}/chain")
def chain(buoy: str):
    return {"chain": buoy}
