from warehouse.stock import Movement


def book(session, delivery, part, quantity, who):
    move = Movement(delivery=delivery, part=part, quantity=quantity, booked_by=who)
    session.add(move)
    return move
