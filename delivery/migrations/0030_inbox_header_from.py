from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0029_fetches_and_quota"),
    ]

    operations = [
        migrations.AddField(
            model_name="inboxmessage",
            name="header_from",
            field=models.CharField(blank=True, db_default="", default="", max_length=1000),
        ),
    ]
