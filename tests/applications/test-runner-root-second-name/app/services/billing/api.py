from services.billing import models, totals
from services.common.db import Session


def amount(number):
    with Session() as session:
        lines = session.query(models.InvoiceLine).filter_by(invoice_id=number)
        return totals.total(lines)
