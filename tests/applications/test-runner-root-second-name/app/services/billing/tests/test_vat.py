from ..totals import vat


def test_vat_is_rounded():
    assert vat(1995) == 379
