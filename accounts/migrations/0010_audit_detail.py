from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_gradual_start"),
    ]

    operations = [
        migrations.AddField(
            model_name="auditentry",
            name="detail",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
    ]
