"""Imports write more at once into the two largest indexes, and do not compress the ids that undoing needs.

A new row waits in a list of its index until the list is sorted in; the longer it is, the more rows meet on a page. A
search reads the list, too: half a millisecond a megabyte. Django would build the indexes anew.
"""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import migrations
from django.db.models.functions import Upper

SEARCH_KB, ATTRIBUTES_KB = 16_384, 8_192
SEARCHED = [OpClass(Upper(name), name="gin_trgm_ops") for name in ("email", "first_name", "last_name")]


def of_length(index: str, kb: int) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER INDEX {index} SET (gin_pending_list_limit = {kb})",
        f"ALTER INDEX {index} RESET (gin_pending_list_limit)",
    )


def replaced(index: GinIndex) -> list[migrations.operations.base.Operation]:
    return [migrations.RemoveIndex("contact", index.name), migrations.AddIndex("contact", index)]


class Migration(migrations.Migration):
    dependencies = [("contacts", "0020_keys_by_statement")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                of_length("contact_search_idx", SEARCH_KB),
                of_length("contact_attributes_idx", ATTRIBUTES_KB),
            ],
            state_operations=[
                *replaced(GinIndex(*SEARCHED, name="contact_search_idx", gin_pending_list_limit=SEARCH_KB)),
                *replaced(
                    GinIndex(
                        fields=["attributes"],
                        opclasses=["jsonb_path_ops"],
                        name="contact_attributes_idx",
                        gin_pending_list_limit=ATTRIBUTES_KB,
                    )
                ),
            ],
        ),
        *(
            migrations.RunSQL(
                f"ALTER TABLE contacts_importslice ALTER {column} SET STORAGE EXTERNAL",
                f"ALTER TABLE contacts_importslice ALTER {column} SET STORAGE EXTENDED",
            )
            for column in ("created_ids", "found_ids")
        ),
    ]
