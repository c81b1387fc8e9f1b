from django.http import Http404, HttpResponse

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role


@needs(Role.MARKETER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    raise Http404


@needs(Role.MARKETER)
def contacts(request: WorkspaceRequest, pk: int) -> HttpResponse:
    raise Http404


@needs(Role.MARKETER)
def send_test(request: WorkspaceRequest, pk: int) -> HttpResponse:
    raise Http404
