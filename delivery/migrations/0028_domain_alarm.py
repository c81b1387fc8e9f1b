from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0027_sender_domains"),
    ]

    operations = [
        migrations.AddField(
            model_name="sendingdomain",
            name="alarm",
            field=models.TextField(blank=True, db_default=""),
        ),
    ]
