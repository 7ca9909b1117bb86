def smooth(part):
    return part * part * (3 - 2 * part)
