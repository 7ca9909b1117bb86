from fastapi import APIRouter

from harbour.models import Buoy

router = APIRouter(prefix="/buoys")


@router.get("/{buoy}")
def buoy(buoy: str):
    return {"kind": Buoy.__tablename__, "name": buoy}
