from django.apps import AppConfig


class Tickets(AppConfig):
    name = "partners.tickets"
    label = "partner_tickets"
