"""What was done by mistake and undone leaves no peak in a list's growth."""

from typing import Final

# A part of a statement whose part `gone` returns list_id, status and consent_at of the subscriptions that it deletes:
# takes back what the triggers noted of their coming and going.
NEVER_JOINED: Final = """
never AS (
    INSERT INTO contacts_listchange (list_id, day, joined_count, left_count)
    SELECT list_id, (consent_at AT TIME ZONE 'UTC')::date, -count(*), 0
      FROM gone WHERE status = 'subscribed' GROUP BY 1, 2
     UNION ALL
    SELECT list_id, (now() AT TIME ZONE 'UTC')::date, 0, -count(*)
      FROM gone WHERE status = 'subscribed' GROUP BY 1, 2
)"""
