from tolls.models import Toll
from tolls.spans import span_of
from tolls.lanes import lane_of  # noqa: I001

assert span_of(Toll(span="east")).name == lane_of(Toll(span="east")).name
