"""Home, the list of campaigns, what is done with one, and its report."""

from django.urls import URLPattern, URLResolver, path

from campaigns.views import campaigns, home, lifecycle, report

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("campaigns/", campaigns.index, name="campaigns"),
    path("campaigns/<int:pk>/", campaigns.show, name="campaign"),
    path("campaigns/<int:pk>/send/", lifecycle.send, name="campaign_send"),
    path("campaigns/<int:pk>/schedule/set/", lifecycle.schedule, name="campaign_schedule_set"),
    path("campaigns/<int:pk>/unschedule/", lifecycle.unschedule, name="campaign_unschedule"),
    path("campaigns/<int:pk>/reopen/", lifecycle.reopen, name="campaign_reopen"),
    path("campaigns/<int:pk>/pause/", lifecycle.pause, name="campaign_pause"),
    path("campaigns/<int:pk>/resume/", lifecycle.resume, name="campaign_resume"),
    path("campaigns/<int:pk>/cancel/", lifecycle.cancel, name="campaign_cancel"),
    path("campaigns/<int:pk>/pace/", lifecycle.pace, name="campaign_pace"),
    path("campaigns/<int:pk>/rest/", lifecycle.send_rest, name="campaign_send_rest"),
    path("campaigns/<int:pk>/retry/", lifecycle.retry, name="campaign_retry"),
    path("campaigns/<int:pk>/delivered/", lifecycle.count_as_delivered, name="campaign_count_as_delivered"),
    path("campaigns/<int:pk>/duplicate/", lifecycle.duplicate, name="campaign_duplicate"),
    path("campaigns/<int:pk>/archive/", lifecycle.archive, name="campaign_archive"),
    path("campaigns/<int:pk>/unarchive/", lifecycle.unarchive, name="campaign_unarchive"),
    path("campaigns/<int:pk>/delete/", lifecycle.delete, name="campaign_delete"),
    path("campaigns/<int:pk>/report/", report.report, name="campaign_report"),
    path("campaigns/<int:pk>/recipients/", report.recipients, name="campaign_recipients"),
]
