"""What a browser may send as a file: too much is answered in words, and neither kept nor read to its end."""

from typing import Any, Final

from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

FILE_LIMIT: Final = 300 * 2**20  # bytes of one file
FORM_BYTES: Final = 6 * 2**20  # of the rest of a form: DATA_UPLOAD_MAX_MEMORY_SIZE and what stands around it


def is_too_large(request: HttpRequest) -> bool:
    """Whether a file was left out because the request is over the limit."""
    return getattr(request, "_upload_is_too_large", False)


class Limited(FileUploadHandler):
    """Leaves a file out when the request says beforehand that it is too large; the form's other fields arrive.

    Up to twice the limit, what is sent is read and thrown away: a browser shows an answer only after it has sent
    all. Beyond that the connection is cut.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, str],  # noqa: N803  (Django's name)
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        self.body_bytes = content_length

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        if self.body_bytes <= FILE_LIMIT + FORM_BYTES:
            return
        self.request._upload_is_too_large = True  # type: ignore[union-attr]
        if self.body_bytes > 2 * FILE_LIMIT:
            raise StopUpload(connection_reset=True)
        raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
