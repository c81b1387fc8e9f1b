from django.urls import path

from contacts.views import exports

urlpatterns = [
    path("exports/", exports.index, name="exports"),
    path("exports/new/", exports.new, name="export_new"),
    path("exports/<int:pk>/cancel/", exports.cancel, name="export_cancel"),
    path("exports/<int:pk>/delete/", exports.delete, name="export_delete"),
    path("exports/file/<str:token>/", exports.file, name="export_file"),
]
