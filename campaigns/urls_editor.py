"""The five-step editor, the preview and the test send."""

from django.urls import path

from campaigns.views import editor, preview

urlpatterns = [
    path("campaigns/new/", editor.new, name="campaign_new"),
    path("campaigns/<int:pk>/audience/", editor.audience, name="campaign_audience"),
    path("campaigns/<int:pk>/content/", editor.content, name="campaign_content"),
    path("campaigns/<int:pk>/sender/", editor.sender, name="campaign_sender"),
    path("campaigns/<int:pk>/schedule/", editor.schedule, name="campaign_schedule"),
    path("campaigns/<int:pk>/review/", editor.review, name="campaign_review"),
    path("campaigns/<int:pk>/preview/", preview.show, name="campaign_preview"),
    path("campaigns/<int:pk>/preview/contacts/", preview.contacts, name="campaign_preview_contacts"),
    path("campaigns/<int:pk>/test/", preview.send_test, name="campaign_test"),
]
