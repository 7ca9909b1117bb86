from reports.models import Member


def by_lane(session):
    lanes = {}
    for member in session.query(Member):
        lanes.setdefault(member.lane, []).append(member.name)
    return lanes
