"""The base of every refusal: a deed that is not done, and why, in words for a person."""


class Refusal(Exception):  # noqa: N818  (a refusal is an answer, not a fault)
    """Raised by actions; bound to a field by a view, or rendered by `config.middleware.refusals`.

    code: a stable word for the API. message: a whole sentence with its remedy. status: the HTTP status.
    """

    code = "refused"
    status = 422

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.status = status or self.status


class WrongState(Refusal):
    """The object is no longer in a state in which this can be done."""

    code = "wrong_state"
    status = 409
