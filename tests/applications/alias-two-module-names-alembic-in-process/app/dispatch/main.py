from fastapi import FastAPI

from dispatch import migrate
from dispatch.routers import ALL

app = FastAPI(title="dispatch")

migrate.to_head()
for router in ALL:
    app.include_router(router)


@app.get("/health")
def health():
    return {"ok": True}
