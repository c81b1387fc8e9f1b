"""A form as multipart/form-data (RFC 7578): a megabyte of recipients' values need no escaping in it."""

import secrets
from collections.abc import Mapping


def multipart(fields: Mapping[str, str | list[str]]) -> tuple[bytes, str]:
    """The form's body and its Content-Type. A list is a field that comes more than once."""
    boundary = f"volley-{secrets.token_hex(16)}"
    parts = []
    for name, value in fields.items():
        quoted = name.replace("\r", "").replace("\n", "").replace('"', "%22")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted}"\r\n\r\n'
        parts += [f"{head}{each}\r\n" for each in (value if isinstance(value, list) else [value])]
    body = "".join(parts) + f"--{boundary}--\r\n"
    return body.encode("utf-8", "replace"), f"multipart/form-data; boundary={boundary}"
