from django.urls import path

from contacts.views import segments

urlpatterns = [
    path("segments/", segments.index, name="segments"),
    path("segments/new/", segments.new, name="segment_new"),
    path("segments/count/", segments.count, name="segment_count"),
    path("segments/<int:pk>/", segments.show, name="segment"),
    path("segments/<int:pk>/edit/", segments.edit, name="segment_edit"),
    path("segments/<int:pk>/count/", segments.recount, name="segment_recount"),
    path("segments/<int:pk>/freeze/", segments.freeze, name="segment_freeze"),
    path("segments/<int:pk>/duplicate/", segments.duplicate, name="segment_duplicate"),
    path("segments/<int:pk>/delete/", segments.delete, name="segment_delete"),
]
