"""How fast a campaign may leave, changed while it is sent."""

from django import forms


class PaceForm(forms.Form):
    per_second = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=100_000,
        error_messages={
            "invalid": "The pace is a number of messages a second, such as 20. Left empty, it is not limited.",
            "min_value": "The slowest pace is 0.01 messages a second; to stop it, pause it.",
        },
    )
