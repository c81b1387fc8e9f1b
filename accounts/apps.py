from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

PLAN_FOR_FLASH = """
SELECT set_config(name, '1.1', false) FROM pg_settings WHERE name = 'random_page_cost' AND source = 'default'
"""


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        connection_created.connect(_plan_for_flash)


def _plan_for_flash(*, connection: Any, **_sent: Any) -> None:
    """Reading here and there costs little more than reading in a row, except on the turning disks of the default (4).

    By it PostgreSQL reads a whole table for a batch of it, in parallel: twice the database's share of a message.
    Whoever has set it knows better.
    """
    with connection.cursor() as cursor:
        cursor.execute(PLAN_FOR_FLASH)
