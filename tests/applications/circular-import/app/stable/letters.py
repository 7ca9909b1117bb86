"""What goes into every letter."""

from stable.owners import Owner


def greeting(person):
    return f"Dear {person.name}" if isinstance(person, Owner) else "Dear friend of horses"
