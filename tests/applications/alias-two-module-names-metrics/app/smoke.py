from service.main import start

assert start() == 1
