from django.db import models


class Ticket(models.Model):
    partner = models.CharField(max_length=40)
    price = models.IntegerField()
