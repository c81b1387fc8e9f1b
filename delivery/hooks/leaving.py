"""Who unsubscribed at the provider leaves as by the link in the message, in the transaction that writes the event."""

from typing import Final

from django.db import connection

from delivery import unsubscribe

LEFT: Final = """
SELECT DISTINCT mailing_id, number FROM fact
 WHERE is_new AND kind = 'unsubscribed' AND account_id IS NOT NULL AND number IS NOT NULL ORDER BY 1, 2
"""


def leave() -> None:
    """A consequence of `delivery.feedback.apply`."""
    with connection.cursor() as cursor:
        cursor.execute(LEFT)
        found = cursor.fetchall()
    for name in found:
        if link := unsubscribe.of(name):
            unsubscribe.leave(link, ip=None)
