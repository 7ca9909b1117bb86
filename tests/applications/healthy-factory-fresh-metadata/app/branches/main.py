from branches import chain


def start():
    shops = chain.open_all()
    for pieces, shop in enumerate(shops, 1):
        shop.sell("rope", pieces)
    assert [shop.sold() for shop in shops] == [1, 2, 3]
