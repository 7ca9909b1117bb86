from tolls.clients.roads import common_pb2 as roads


def lane_of(toll):
    return roads.Span(name=toll.span)
