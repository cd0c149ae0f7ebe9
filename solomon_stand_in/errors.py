"""Foreseen mishaps of the stand-in; `app.py` maps each class to an HTTP status.

StandInError
├── BodyError              the body of a push is wrong; nothing of it was stored
├── ParameterError         a parameter of the request is missing or wrong
├── SelectorError          a selector that we do not understand
├── TooMuchError           more than fits: body, metrics in a request, series in a shard, answer
├── UnauthenticatedError   no usable `Authorization` header
├── ForbiddenError         another token than the one that is accepted
└── StoreError             the file of the series cannot be used
"""

from pathlib import Path


class StandInError(Exception):
    """A foreseen mishap: its text is what the sender reads."""


class BodyError(StandInError):
    """The body is wrong; the text has the form that senders know from Solomon's own decoder."""

    def __init__(self, where: str, reason: str, snippet: str) -> None:
        super().__init__(
            f"cannot parse JSON, error at: {where}, reason: {reason}, snippet: {snippet}"
        )
        self.where = where
        self.reason = reason


class ParameterError(StandInError):
    """A parameter of the request is missing or wrong."""


class SelectorError(StandInError):
    """A selector that is wrong or outside the subset of the language that we know."""

    def __init__(self, selector: str, reason: str) -> None:
        super().__init__(f"cannot parse selector {selector!a}: {reason}")


class TooMuchError(StandInError):
    """More than fits into a request, a shard or an answer."""


class UnauthenticatedError(StandInError):
    """The request says not, or not as expected, who sends it."""

    def __init__(self) -> None:
        super().__init__(
            "the request needs the header 'Authorization: OAuth <token>', in the cloud dialect 'Bearer <token>', with a token that has not ended"
        )


class ForbiddenError(StandInError):
    """The token is not the one that is accepted."""

    def __init__(self) -> None:
        super().__init__("PERMISSION_DENIED: Permission denied")


class StoreError(StandInError):
    """The file of the series cannot be opened, read or written."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"the file of the series {path} cannot be used: {reason}")
