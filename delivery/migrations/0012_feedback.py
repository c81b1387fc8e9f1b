import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import delivery.models.accounts


def give_keys(apps, schema_editor):
    for account in apps.get_model("delivery", "SendingAccount").objects.all():
        account.hook_key = delivery.models.accounts.new_hook_key()
        account.save(update_fields=["hook_key"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_columns"),
        ("delivery", "0011_events"),
    ]

    operations = [
        migrations.CreateModel(
            name="Incoming",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("stream", models.CharField(max_length=20)),
                ("data", models.BinaryField()),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.AddField(
            model_name="delivery",
            name="clicked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="feedback",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "Nothing yet"),
                    ("delivered", "Delivered"),
                    ("blocked", "Blocked"),
                    ("soft_bounced", "Soft bounce"),
                    ("bounced", "Hard bounce"),
                    ("complained", "Complained"),
                ],
                db_default="",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="feedback_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="opened_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="event",
            name="code",
            field=models.CharField(blank=True, db_default="", max_length=12),
        ),
        migrations.AddField(
            model_name="event",
            name="number",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="event",
            name="said",
            field=models.CharField(blank=True, db_default="", max_length=500),
        ),
        migrations.AddField(
            model_name="mailing",
            name="blocked_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="bounced_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="click_total",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="clicked_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="complained_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="delivered_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="machine_click_total",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="machine_open_total",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="open_total",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="opened_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="mailing",
            name="soft_bounced_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="sendingaccount",
            name="bounce_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="sendingaccount",
            name="event_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="sendingaccount",
            name="hook_key",
            field=models.CharField(max_length=22, null=True),
        ),
        migrations.RunPython(give_keys, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="sendingaccount",
            name="hook_key",
            field=models.CharField(default=delivery.models.accounts.new_hook_key, max_length=22, unique=True),
        ),
        migrations.AddField(
            model_name="sendingaccount",
            name="refused_hook_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="sendingaccount",
            name="refused_hook_count",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="event",
            name="kind",
            field=models.CharField(
                choices=[
                    ("opened", "Opened"),
                    ("clicked", "Clicked"),
                    ("bounced", "Hard bounce"),
                    ("soft_bounced", "Soft bounce"),
                    ("blocked", "Blocked"),
                    ("complained", "Complained"),
                    ("unsubscribed", "Unsubscribed"),
                ],
                max_length=12,
            ),
        ),
        migrations.CreateModel(
            name="Stray",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=12)),
                ("at", models.DateTimeField()),
                ("key", models.UUIDField()),
                ("email", models.CharField(blank=True, max_length=254)),
                ("said", models.CharField(blank=True, max_length=500)),
                (
                    "account",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="strays",
                        to="delivery.sendingaccount",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("workspace", "key"), name="stray_once")],
            },
        ),
    ]
