"""Three foreign keys of contacts and subscriptions are checked once a statement, not once a row.

An import names one workspace and a few lists in a thousand rows, and PostgreSQL would ask for them at each row: a
fifth of all that a new contact costs. What holds is the same, with the locks that PostgreSQL takes itself: what a row
names is there and stays (FOR KEY SHARE), and what is named cannot go. Beyond it, a list is of the row's own workspace,
and nothing moves to another. Subscriptions keep the key to their contact, since each row has another.
"""

import django.db.models.deletion
from django.db import migrations, models

TRIGGERS = """
CREATE FUNCTION contacts_contact_named() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named record;
BEGIN
    FOR named IN SELECT DISTINCT workspace_id FROM added ORDER BY 1 LOOP
        PERFORM FROM accounts_workspace WHERE id = named.workspace_id FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE foreign_key_violation USING MESSAGE = format('contacts of workspace %s, which is not there', named.workspace_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE FUNCTION contacts_subscription_named() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named record;
BEGIN
    FOR named IN SELECT DISTINCT workspace_id, list_id FROM added ORDER BY 1, 2 LOOP
        PERFORM FROM contacts_list WHERE id = named.list_id AND workspace_id = named.workspace_id FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE foreign_key_violation
                USING MESSAGE = format('subscriptions to list %s, which workspace %s has not', named.list_id, named.workspace_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE FUNCTION contacts_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = format('%s %s cannot move to another workspace or list', TG_TABLE_NAME, OLD.id);
END $$;
CREATE FUNCTION contacts_is_named() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_named boolean;
BEGIN  -- the arguments: who names it, in which column
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I = $1)', TG_ARGV[0], TG_ARGV[1]) INTO is_named USING OLD.id;
    IF is_named THEN
        RAISE foreign_key_violation USING MESSAGE = format('%s %s is still named by %s', TG_TABLE_NAME, OLD.id, TG_ARGV[0]);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER contact_named AFTER INSERT ON contacts_contact REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION contacts_contact_named();
CREATE TRIGGER contact_stays AFTER UPDATE OF workspace_id ON contacts_contact
    FOR EACH ROW WHEN (OLD.workspace_id <> NEW.workspace_id) EXECUTE FUNCTION contacts_stays();
CREATE CONSTRAINT TRIGGER workspace_of_contacts AFTER DELETE ON accounts_workspace DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION contacts_is_named('contacts_contact', 'workspace_id');
CREATE TRIGGER subscription_named AFTER INSERT ON contacts_subscription REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION contacts_subscription_named();
CREATE TRIGGER subscription_stays AFTER UPDATE OF workspace_id, list_id ON contacts_subscription
    FOR EACH ROW WHEN ((OLD.workspace_id, OLD.list_id) <> (NEW.workspace_id, NEW.list_id))
    EXECUTE FUNCTION contacts_stays();
CREATE CONSTRAINT TRIGGER list_of_subscriptions AFTER DELETE ON contacts_list DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION contacts_is_named('contacts_subscription', 'list_id');
"""
NO_TRIGGERS = """
DROP TRIGGER list_of_subscriptions ON contacts_list;
DROP TRIGGER subscription_stays ON contacts_subscription;
DROP TRIGGER subscription_named ON contacts_subscription;
DROP TRIGGER workspace_of_contacts ON accounts_workspace;
DROP TRIGGER contact_stays ON contacts_contact;
DROP TRIGGER contact_named ON contacts_contact;
DROP FUNCTION contacts_is_named();
DROP FUNCTION contacts_stays();
DROP FUNCTION contacts_subscription_named();
DROP FUNCTION contacts_contact_named();
"""


def key(to: str, related_name: str, *, db_index: bool) -> models.ForeignKey:
    return models.ForeignKey(
        to,
        django.db.models.deletion.CASCADE,
        related_name=related_name,
        db_index=db_index,
        db_constraint=False,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_language"),
        ("contacts", "0019_wants_less_index"),
    ]

    operations = [
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        migrations.AlterField("contact", "workspace", key("accounts.workspace", "contacts", db_index=False)),
        migrations.AlterField("subscription", "workspace", key("accounts.workspace", "+", db_index=False)),
        migrations.AlterField("subscription", "list", key("contacts.list", "subscriptions", db_index=True)),
    ]
