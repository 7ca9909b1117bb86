from irrigation.rules.holidays import DryDay


def dry_days(session):
    return [found.day for found in session.query(DryDay).order_by(DryDay.day)]
