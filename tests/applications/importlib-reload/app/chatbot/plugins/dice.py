import random

from chatbot.commands import command


@command("roll")
def roll(session, person, sides="6"):
    return str(random.randint(1, int(sides)))
