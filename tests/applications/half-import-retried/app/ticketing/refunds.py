from ticketing.settlement import Payment


def refund(session, ticket):
    payment = session.query(Payment).filter(Payment.ticket == ticket).one()
    session.delete(payment)
    session.delete(ticket)
