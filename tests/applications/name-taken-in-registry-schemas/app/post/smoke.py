from post.main import first_letter

assert first_letter()[0] == {"address": {"town": "Hamlet"}}
