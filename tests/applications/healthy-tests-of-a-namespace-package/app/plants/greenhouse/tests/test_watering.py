from plants.greenhouse.watering import total, water


def test_waterings_add_up(pot):
    water(pot, 150)
    water(pot, 200)
    assert total(pot) == 350
