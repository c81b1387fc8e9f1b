from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("contacts", "0015_import_header_mark")]

    operations = [
        migrations.AddField(
            model_name="import",
            name="adds_options",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="import",
            name="suppressed_count",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
    ]
