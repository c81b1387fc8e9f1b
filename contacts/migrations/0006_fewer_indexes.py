"""Drop indexes of a single key where another index begins with it.

Django would drop and check the foreign keys again as well, which takes minutes at a large table.
"""

from django.db import migrations, models

DROPPED = {
    "contacts_contact_workspace_id_c425fb7f": ("contacts_contact", "workspace_id"),
    "contacts_subscription_workspace_id_002b2575": ("contacts_subscription", "workspace_id"),
    "contacts_subscription_contact_id_88b42e30": ("contacts_subscription", "contact_id"),
    "contacts_suppression_workspace_id_5c21882f": ("contacts_suppression", "workspace_id"),
}
FIELDS = (
    ("contact", "workspace", "accounts.workspace", "contacts"),
    ("subscription", "workspace", "accounts.workspace", "+"),
    ("subscription", "contact", "contacts.contact", "subscriptions"),
    ("suppression", "workspace", "accounts.workspace", "suppressions"),
)


class Migration(migrations.Migration):
    dependencies = [("contacts", "0005_tags_choices_opt_in")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f'DROP INDEX IF EXISTS "{name}"', f'CREATE INDEX "{name}" ON "{table}" ("{column}")'
                )
                for name, (table, column) in DROPPED.items()
            ],
            state_operations=[
                migrations.AlterField(
                    model_name=model,
                    name=name,
                    field=models.ForeignKey(
                        db_index=False, on_delete=models.deletion.CASCADE, related_name=related_name, to=to
                    ),
                )
                for model, name, to, related_name in FIELDS
            ],
        )
    ]
