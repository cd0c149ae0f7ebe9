"""Foreseen mishaps of the shared parts.

MrProberError
├── ObjectStorageError        storage cannot be read or written (common/object_storage.py)
├── KeyFileError              a key file is missing, unreadable or empty
├── UnusableKeyError          a key holds characters that no HTTP header can carry
└── ApiError
    ├── ApiUnreachableError   no answer, or an answer that is none of ours
    └── ApiRefusedError       the API said no, and why

Each service's `errors.py` adds its own below `MrProberError`; everything else that is raised is a bug.
"""

from pathlib import Path

from common.contracts.values import Problem


class MrProberError(Exception):
    """A foreseen mishap: its text is one full sentence for the person who reads it."""


class KeyFileError(MrProberError):
    """A key file cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"key file {path} {reason}")
        self.path = path


class UnusableKeyError(MrProberError):
    """A key cannot be sent; its text is not repeated."""

    def __init__(self) -> None:
        super().__init__(
            "the key for the API holds characters that no key has: was it pasted whole?"
        )


class ApiError(MrProberError):
    """The API did not do what we asked."""


class ApiUnreachableError(ApiError):
    """No answer, or one that our API never gives; whether a write happened is not known."""

    def __init__(self, url: str, reason: object) -> None:
        super().__init__(f"the API at {url} cannot be reached: {reason}")
        self.url = url


class ApiRefusedError(ApiError):
    """The API refused; `problem` says why, field by field."""

    def __init__(self, problem: Problem) -> None:
        fields = "; ".join(f"{field.field}: expected {field.expected}" for field in problem.errors)
        super().__init__(f"{problem.detail}{': ' if fields else ''}{fields}")
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status
