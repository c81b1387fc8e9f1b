import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0026_rate_per_hour"),
    ]

    operations = [
        migrations.AddField(
            model_name="sendingaccount",
            name="sender_domains",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=253), blank=True, default=list, size=None
            ),
        ),
    ]
