from ..models import InvoiceLine
from ..totals import total


def test_an_invoice_is_the_sum_of_its_lines(session, invoice):
    lines = [
        InvoiceLine(invoice_id=invoice.id, text="line rental", cents=1995),
        InvoiceLine(invoice_id=invoice.id, text="calls", cents=310),
    ]
    session.add_all(lines)
    session.flush()
    assert total(lines) == 2305
