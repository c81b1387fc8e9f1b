from django.http import Http404, HttpResponse

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    raise Http404


@needs(Role.MARKETER)
def audience(request: WorkspaceRequest, pk: int) -> HttpResponse:
    raise Http404


@needs(Role.MARKETER)
def content(request: WorkspaceRequest, pk: int) -> HttpResponse:
    raise Http404


@needs(Role.MARKETER)
def sender(request: WorkspaceRequest, pk: int) -> HttpResponse:
    raise Http404


@needs(Role.MARKETER)
def schedule(request: WorkspaceRequest, pk: int) -> HttpResponse:
    raise Http404


@needs(Role.MARKETER)
def review(request: WorkspaceRequest, pk: int) -> HttpResponse:
    raise Http404
