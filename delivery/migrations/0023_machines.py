from django.db import migrations, models

MAILINGS = """
UPDATE delivery_mailing m SET any_opened_count = e.opened, any_clicked_count = e.clicked
  FROM (SELECT mailing_id, count(DISTINCT contact_id) AS opened,
               count(DISTINCT contact_id) FILTER (WHERE kind = 'clicked') AS clicked
          FROM delivery_event WHERE kind IN ('opened', 'clicked') GROUP BY 1) e
 WHERE e.mailing_id = m.id
"""
LINKS = """
UPDATE delivery_linktally t SET any_count = e.recipients
  FROM (SELECT mailing_id, url, count(DISTINCT contact_id) AS recipients
          FROM delivery_event WHERE kind = 'clicked' AND url <> '' GROUP BY 1, 2) e
 WHERE e.mailing_id = t.mailing_id AND md5(e.url)::uuid = t.digest
"""
HOURS = """
INSERT INTO delivery_hourtally AS t (mailing_id, hour, open_total, click_total, machine_open_total, machine_click_total)
SELECT e.mailing_id, date_trunc('hour', e.at, 'UTC'), 0, 0, count(*) FILTER (WHERE kind = 'opened'),
       count(*) FILTER (WHERE kind = 'clicked')
  FROM delivery_event e JOIN delivery_mailing m ON m.id = e.mailing_id
 WHERE e.kind IN ('opened', 'clicked') AND e.is_machine GROUP BY 1, 2
    ON CONFLICT (mailing_id, hour) DO UPDATE
   SET machine_open_total = excluded.machine_open_total, machine_click_total = excluded.machine_click_total
"""


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0022_mailbox_of_microsoft"),
    ]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="delivered_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="mailing",
            name="any_opened_count",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="any_clicked_count",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="linktally",
            name="any_count",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="hourtally",
            name="machine_open_total",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="hourtally",
            name="machine_click_total",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.RunSQL(MAILINGS, migrations.RunSQL.noop),
        migrations.RunSQL(LINKS, migrations.RunSQL.noop),
        migrations.RunSQL(HOURS, migrations.RunSQL.noop),
    ]
