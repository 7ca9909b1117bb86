from fastapi import FastAPI

from harbour import adrift, buoys

app = FastAPI()
app.include_router(buoys.router)
app.include_router(adrift.router)
