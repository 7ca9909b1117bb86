from post import letters, senders
from post import readers
from post.models import Letter


def first_letter():
    return letters.LetterSchema().dump(Letter(town="Hamlet")), senders, readers
