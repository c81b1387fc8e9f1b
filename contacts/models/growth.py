"""How many people a list has and had: kept by the database itself, so that no page counts a million subscriptions."""

from django.db import models

from contacts.models.lists import List


class ListChange(models.Model):
    """What one statement did to a list's people: written by the triggers on subscriptions, folded by the clock.

    Rows are only added and taken away, so that two imports into one list never wait for each other.
    """

    list_id = models.BigIntegerField()  # no foreign key: its check would lock the list
    day = models.DateField()  # UTC, as in ListDay
    joined_count = models.IntegerField(db_default=0)
    left_count = models.IntegerField(db_default=0)
    # How many more (or fewer) have the status now.
    subscribed = models.IntegerField(db_default=0)
    pending = models.IntegerField(db_default=0)
    unsubscribed = models.IntegerField(db_default=0)

    class Meta:
        indexes = [models.Index(fields=["list_id"], name="list_change_idx")]

    def __str__(self) -> str:
        return f"list {self.list_id}, {self.day}"


class ListDay(models.Model):
    """How many came to be subscribed to a list on a day (UTC) by their consent's date, and how many ceased to be.

    Over all days, those who joined less those who left are those subscribed now.
    """

    list = models.ForeignKey(List, on_delete=models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    joined_count = models.IntegerField()
    left_count = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["list", "day"], name="one_row_per_list_and_day")]

    def __str__(self) -> str:
        return f"{self.list}, {self.day}"
