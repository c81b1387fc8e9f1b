from django.urls import path

from contacts.views import columns, fields, merging, privacy, profile, tags

urlpatterns = [
    path("contacts/columns/<str:table>/", columns.columns, name="columns"),
    path("contacts/fields/", fields.index, name="fields"),
    path("contacts/fields/counts/", fields.counts, name="field_counts"),
    path("contacts/fields/new/", fields.new, name="field_new"),
    path("contacts/fields/<int:pk>/", fields.edit, name="field_edit"),
    path("contacts/fields/<int:pk>/move/", fields.move, name="field_move"),
    path("contacts/fields/<int:pk>/delete/", fields.delete, name="field_delete"),
    path("contacts/tags/", tags.index, name="tags"),
    path("contacts/tags/counts/", tags.counts, name="tag_counts"),
    path("contacts/tags/new/", tags.new, name="tag_new"),
    path("contacts/tags/<int:pk>/", tags.edit, name="tag_edit"),
    path("contacts/tags/<int:pk>/delete/", tags.delete, name="tag_delete"),
    path("contacts/<int:pk>/value/<str:name>/", profile.value, name="contact_value"),
    path("contacts/<int:pk>/tags/", profile.tags, name="contact_tags"),
    path("contacts/<int:pk>/tags/suggestions/", profile.tag_suggestions, name="contact_tag_suggestions"),
    path("contacts/<int:pk>/timeline/", profile.timeline, name="contact_timeline"),
    path("contacts/<int:pk>/suppress/", privacy.suppress, name="contact_suppress"),
    path("contacts/<int:pk>/merge/", merging.merge, name="contact_merge"),
    path("contacts/<int:pk>/erase/", privacy.erase, name="contact_erase"),
    path("contacts/<int:pk>/file/", privacy.file, name="contact_file"),
]
