from django.urls import URLPattern, URLResolver, path

from delivery.views import bounces, confirm, confirmations, inbox, operations, sending, unsubscribe

urlpatterns: list[URLPattern | URLResolver] = [
    path("sending/", sending.sending, name="sending"),
    path("sending/new/", sending.sending_new, name="sending_new"),
    path("sending/<int:pk>/", sending.sending_edit, name="sending_edit"),
    path("sending/<int:pk>/delete/", sending.sending_delete, name="sending_delete"),
    path("sending/<int:pk>/test/", sending.sending_test, name="sending_test"),
    path("sending/<int:pk>/default/", sending.sending_default, name="sending_default"),
    path("sending/<int:pk>/use/", sending.sending_use, name="sending_use"),
    path("sending/<int:pk>/set-aside/", sending.sending_set_aside, name="sending_set_aside"),
    path("bounces/", bounces.index, name="bounces"),
    path("bounces/export/", bounces.export, name="bounces_export"),
    path("bounces/undo/", bounces.undo, name="bounces_undo"),
    path("operations/", operations.operations, name="operations"),
    path("metrics", operations.prometheus, name="metrics"),
    path("inbox/", inbox.inbox, name="inbox"),
    path("inbox/clear/", inbox.inbox_clear, name="inbox_clear"),
    path("inbox/<int:pk>/", inbox.inbox_message, name="inbox_message"),
    path("inbox/<int:pk>/<str:part>/", inbox.inbox_part, name="inbox_part"),
    path("lists/<int:pk>/confirmation/", confirmations.edit, name="list_confirmation"),
    path("lists/<int:pk>/confirmation/preview/", confirmations.preview, name="list_confirmation_preview"),
    path("lists/<int:pk>/confirmation/test/", confirmations.send_test, name="list_confirmation_test"),
    path(
        "lists/<int:pk>/confirmation/<int:mailing_pk>/resume/",
        confirmations.resume,
        name="list_confirmation_resume",
    ),
    path(
        "lists/<int:pk>/confirmation/<int:mailing_pk>/cancel/",
        confirmations.cancel,
        name="list_confirmation_cancel",
    ),
    path("confirm/<str:token>/", confirm.confirm, name="confirm"),
    path("u/<str:token>/", unsubscribe.unsubscribe, name="unsubscribe"),
    path("u/<str:token>/one-click/", unsubscribe.unsubscribe_one_click, name="unsubscribe_one_click"),
]
