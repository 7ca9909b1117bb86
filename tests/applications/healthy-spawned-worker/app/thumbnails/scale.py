def to_width(size, width):
    return width, max(1, round(size[1] * width / size[0]))
