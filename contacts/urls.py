from django.urls import URLPattern, URLResolver, include, path

from contacts.views import contacts, lists, suppressions

urlpatterns: list[URLPattern | URLResolver] = [
    path("contacts/", contacts.index, name="contacts"),
    path("contacts/new/", contacts.new, name="contact_new"),
    path("contacts/<int:pk>/", contacts.show, name="contact"),
    path("contacts/<int:pk>/edit/", contacts.edit, name="contact_edit"),
    path("contacts/<int:pk>/delete/", contacts.delete, name="contact_delete"),
    path("contacts/<int:pk>/subscribe/", contacts.subscribe, name="contact_subscribe"),
    path("contacts/<int:pk>/unsubscribe/<int:list_pk>/", contacts.unsubscribe, name="contact_unsubscribe"),
    path("contacts/<int:pk>/ask-again/<int:list_pk>/", contacts.ask_again, name="contact_ask_again"),
    path("lists/", lists.index, name="lists"),
    path("lists/new/", lists.new, name="list_new"),
    path("lists/<int:pk>/", lists.show, name="list"),
    path("lists/<int:pk>/health/", lists.health, name="list_health"),
    path("lists/<int:pk>/ask-again/", lists.ask_again, name="list_ask_again"),
    path("lists/<int:pk>/edit/", lists.edit, name="list_edit"),
    path("lists/<int:pk>/archive/", lists.archive, name="list_archive"),
    path("lists/<int:pk>/unarchive/", lists.unarchive, name="list_unarchive"),
    path("suppression/", suppressions.index, name="suppressions"),
    path("suppression/erased/", suppressions.erased, name="erased"),
    path("suppression/new/", suppressions.new, name="suppression_new"),
    path("suppression/export/", suppressions.export, name="suppression_export"),
    path("suppression/lift/", suppressions.lift, name="suppression_lift"),
    path("suppression/lists/<int:pk>/delete/", suppressions.delete_of_list, name="list_suppression_delete"),
    path("suppression/<int:pk>/delete/", suppressions.delete, name="suppression_delete"),
    path("", include("contacts.urls_people")),
    path("", include("contacts.urls_imports")),
    path("", include("contacts.urls_exports")),
    path("", include("contacts.urls_bulk")),
    path("", include("contacts.urls_segments")),
]
