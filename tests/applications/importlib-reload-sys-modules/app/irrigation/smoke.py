"""Ends with 0 if a day can be planned after the rules were loaded again."""
import datetime

from irrigation import console, main

if __name__ == "__main__":
    main.start()
    console.run("rules again")
    print(main.plan(datetime.date(2024, 7, 2), 19))
