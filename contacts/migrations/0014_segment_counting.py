from django.db import migrations, models

from contacts.models.segments import NEVER


class Migration(migrations.Migration):
    dependencies = [("contacts", "0013_growth_after_undoing")]

    operations = [
        migrations.AddField(
            model_name="segment", name="count_asked_at", field=models.DateTimeField(default=NEVER)
        ),
        migrations.AddIndex(
            model_name="segment",
            index=models.Index(fields=["count_asked_at"], name="segment_to_count_idx"),
        ),
    ]
