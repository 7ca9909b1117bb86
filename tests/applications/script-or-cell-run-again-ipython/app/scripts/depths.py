from survey.db import Session
from survey.units import metres

with Session() as session:
    for well in session.query(Well):  # noqa: F821
        print(well.name, metres(well.depth_ft))
