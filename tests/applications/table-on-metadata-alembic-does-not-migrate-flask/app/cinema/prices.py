def price(row):
    return 900 if row > 3 else 1200
