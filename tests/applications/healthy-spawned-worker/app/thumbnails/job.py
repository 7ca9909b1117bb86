from thumbnails.pictures import Picture
from thumbnails.scale import to_width


def run(size):
    picture = Picture(path="a.png", width=size[0], height=size[1])
    return to_width((picture.width, picture.height), 120)
