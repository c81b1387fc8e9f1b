import datetime

import django.utils.timezone
from django.db import migrations, models

# So that segments from before are counted first.
LONG_AGO = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


class Migration(migrations.Migration):
    dependencies = [("contacts", "0013_growth_after_undoing")]

    operations = [
        migrations.AddField(
            model_name="segment", name="count_asked_at", field=models.DateTimeField(default=LONG_AGO)
        ),
        migrations.AlterField(
            model_name="segment",
            name="count_asked_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddIndex(
            model_name="segment",
            index=models.Index(fields=["count_asked_at"], name="segment_to_count_idx"),
        ),
    ]
