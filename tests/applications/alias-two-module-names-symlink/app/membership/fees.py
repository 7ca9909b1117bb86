from membership.models import Fee


def paid(session, member, year):
    return session.query(Fee).filter_by(member_id=member.id, year=year).count() > 0
