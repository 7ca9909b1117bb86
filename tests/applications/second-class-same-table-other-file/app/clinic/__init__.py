"""Appointments of a veterinary clinic."""
