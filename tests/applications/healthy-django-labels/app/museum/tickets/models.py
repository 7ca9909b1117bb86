from django.db import models


class Ticket(models.Model):
    price = models.IntegerField()
