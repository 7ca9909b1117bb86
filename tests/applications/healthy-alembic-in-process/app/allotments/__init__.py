"""Gardens of an allotment society."""
