from donations import letters
from donations.db import Session
from donations.gifts import Gift


def thanks():
    with Session() as session:
        return [letters.salutation(gift.donor) for gift in session.query(Gift)]
