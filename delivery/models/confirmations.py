"""How lists ask people to confirm."""

from django.db import models

from contacts.models import List
from delivery.models.accounts import SendingAccount


class Confirmation(models.Model):
    """How a list asks unconfirmed people; a list without a row asks in Volley's own words.

    subject and body are Liquid; an empty sender is the workspace's usual one.
    """

    list = models.OneToOneField(List, on_delete=models.CASCADE, related_name="+", primary_key=True)
    subject = models.CharField(max_length=250)
    body = models.TextField()
    from_name = models.CharField(max_length=120, blank=True)
    from_email = models.EmailField(max_length=254, blank=True)
    reply_to = models.EmailField(max_length=254, blank=True)
    account = models.ForeignKey(
        SendingAccount, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return self.subject
