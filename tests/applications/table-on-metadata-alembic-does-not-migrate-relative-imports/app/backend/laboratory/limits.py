from backend.laboratory.results import Result

LIMITS = {"nitrate": 50.0, "lead": 0.01}


def exceeded(session):
    for substance, limit in LIMITS.items():
        found = session.query(Result).filter_by(substance=substance)
        yield from found.filter(Result.mg_per_litre > limit)
