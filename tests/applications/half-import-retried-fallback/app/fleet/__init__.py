"""Vans of a parcel service and what their boxes report."""
