"""Ticket machines of a tramway."""
