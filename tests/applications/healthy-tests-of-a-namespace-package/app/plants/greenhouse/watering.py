from plants.greenhouse.models import Watering


def total(pot):
    return sum(watering.millilitres for watering in pot.waterings)


def water(pot, millilitres):
    pot.waterings.append(Watering(millilitres=millilitres))
