from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # contacts are many, and imports go on while they are indexed

    dependencies = [("contacts", "0018_preferences")]

    operations = [
        AddIndexConcurrently(
            model_name="contact",
            index=models.Index(
                condition=models.Q(
                    ("paused_until__isnull", False),
                    models.Q(("frequency", ""), _negated=True),
                    _connector="OR",
                ),
                fields=["workspace", "id"],
                name="contact_wants_less_idx",
            ),
        ),
    ]
