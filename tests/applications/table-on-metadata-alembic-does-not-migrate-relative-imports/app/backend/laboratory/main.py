from . import limits
from .db import Session
from .samples import Sample


def enter(well, measured):
    with Session() as session:
        sample = Sample(well=well)
        session.add(sample)
        session.flush()
        for substance, value in measured.items():
            result = limits.Result(sample_id=sample.id, substance=substance)
            result.mg_per_litre = value
            session.add(result)
        session.commit()
        return len(list(limits.exceeded(session)))


def enter_sample():
    return enter("Mill Spring", {"nitrate": 61.5})
