"""The campaigns' pages: what is written in the editor, and what happens with it."""

from django.urls import include, path

urlpatterns = [
    path("", include("campaigns.urls_editor")),
    path("", include("campaigns.urls_lifecycle")),
]
