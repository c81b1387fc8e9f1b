# Written by hand: who is subscribed again by their earlier consent comes back today, and does not join once more on
# the day of that consent, which would write the list's past anew.

from django.db import migrations

CHANGED = """
CREATE OR REPLACE FUNCTION contacts_subscription_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO contacts_listchange (list_id, day, joined_count, left_count, subscribed, pending, unsubscribed)
    SELECT n.list_id,
           (least(CASE WHEN n.status <> 'subscribed' THEN n.unsubscribed_at
                       WHEN o.status = 'unsubscribed' AND o.consent_at = n.consent_at THEN now()
                       ELSE n.consent_at END, now())
            AT TIME ZONE 'UTC')::date,
           sum((n.status = 'subscribed')::int), sum((o.status = 'subscribed')::int),
           sum((n.status = 'subscribed')::int - (o.status = 'subscribed')::int),
           sum((n.status = 'pending')::int - (o.status = 'pending')::int),
           sum((n.status = 'unsubscribed')::int - (o.status = 'unsubscribed')::int)
      FROM gone o JOIN added n USING (id)
     WHERE o.status <> n.status
     GROUP BY 1, 2;
    RETURN NULL;
END $$;
"""
BEFORE = CHANGED.replace(
    """CASE WHEN n.status <> 'subscribed' THEN n.unsubscribed_at
                       WHEN o.status = 'unsubscribed' AND o.consent_at = n.consent_at THEN now()
                       ELSE n.consent_at END""",
    "CASE n.status WHEN 'subscribed' THEN n.consent_at ELSE n.unsubscribed_at END",
)


class Migration(migrations.Migration):
    dependencies = [("contacts", "0012_imports")]

    operations = [migrations.RunSQL(CHANGED, BEFORE)]
