"""Distances on the ground."""

from math import asin, cos, radians, sin, sqrt

EARTH_M = 6_371_000
WALK_M_PER_S = 1.35


def distance_m(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """Great-circle distance in metres (haversine)."""
    half_lat = radians(lat2 - lat1) / 2
    half_lng = radians(lng2 - lng1) / 2
    a = sin(half_lat) ** 2 + cos(radians(lat1)) * cos(radians(lat2)) * sin(half_lng) ** 2
    return 2 * EARTH_M * asin(sqrt(a))


def walk_seconds(metres: float) -> int:
    return round(metres / WALK_M_PER_S)
