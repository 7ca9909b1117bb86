from fastapi import APIRouter

router = APIRouter(prefix="/buoys")


@router.get("/adrift")
def adrift():
    return {"adrift": []}
