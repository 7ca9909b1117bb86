from till.models import Sale


def takings(session):
    return sum(sale.pieces * sale.article.cents for sale in session.query(Sale))
