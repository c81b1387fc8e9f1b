from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("contacts.urls_imports")),
    path("", include("contacts.urls_segments")),
]
