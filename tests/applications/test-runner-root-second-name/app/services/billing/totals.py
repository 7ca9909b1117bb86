def total(lines):
    return sum(line.cents for line in lines)


def vat(cents, percent=19):
    return round(cents * percent / 100)
