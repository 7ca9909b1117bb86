from tolls.clients.bridges import common_pb2 as bridges


def span_of(toll):
    return bridges.Span(name=toll.span)
