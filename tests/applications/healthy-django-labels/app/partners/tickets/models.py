from django.db import models


class Priced(models.Model):
    price = models.IntegerField()

    class Meta:
        abstract = True


class Ticket(Priced):
    partner = models.CharField(max_length=40)


class Reduced(Ticket):
    class Meta:
        proxy = True
