from django.urls import path

from contacts.views import bulk

urlpatterns = [
    path("contacts/bulk/", bulk.index, name="bulk_runs"),
    path("contacts/bulk/new/", bulk.new, name="bulk_new"),
    path("contacts/bulk/count/", bulk.count, name="bulk_count"),
    path("contacts/bulk/<int:pk>/", bulk.show, name="bulk"),
    path("contacts/bulk/<int:pk>/cancel/", bulk.cancel, name="bulk_cancel"),
    path("contacts/bulk/<int:pk>/undo/", bulk.undo, name="bulk_undo"),
]
