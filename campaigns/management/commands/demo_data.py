"""`manage.py demo_data`: a workspace to look around in, with three campaigns that were sent."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from campaigns import demo


class Command(BaseCommand):
    help = "Fill a workspace with believable contacts, lists, segments and past campaigns."

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = demo.fill()
        contacts = workspace.contacts.count()
        self.stdout.write(
            f"\n  “{workspace}” holds {contacts:,} contacts and {workspace.campaigns.count()} campaigns.\n"
            f"  Sign in at {settings.PUBLIC_URL}/ as {demo.EMAIL} with the password {demo.PASSWORD}\n"
        )
