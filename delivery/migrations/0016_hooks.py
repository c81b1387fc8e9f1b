from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0015_tracking"),
    ]

    operations = [
        migrations.AddField(
            model_name="sendingaccount",
            name="hook",
            field=models.BinaryField(default=bytes),
        ),
    ]
