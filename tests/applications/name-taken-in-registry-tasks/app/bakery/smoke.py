from bakery.main import start

oven, till = start()
assert till.close_till.delay().get() == "counted"
assert oven.close_oven.delay().get() == "no more loaves"
