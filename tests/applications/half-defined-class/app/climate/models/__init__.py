from climate.models.alarm import Alarm
from climate.models.reading import Reading
from climate.models.station import Station

__all__ = ["Alarm", "Reading", "Station"]
