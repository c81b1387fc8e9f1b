"""Static files under hashed names, cached for ever by browsers."""

from collections.abc import Iterator
from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage, MissingFileError


class StaticStorage(CompressedManifestStaticFilesStorage):
    """As whitenoise does it, but packages may name files that they leave out (pictures of unused styles)."""

    manifest_strict = False

    def post_process(self, *args: Any, **options: Any) -> Iterator[Any]:
        for name, hashed, processed in super().post_process(*args, **options):
            if not isinstance(processed, MissingFileError):
                yield name, hashed, processed
