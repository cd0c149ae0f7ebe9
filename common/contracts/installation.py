"""The switches of the whole installation."""

from datetime import datetime

from pydantic import Field

from common.contracts.values import Input, Wire


class InstallationPut(Input):
    """Whether Creator applies anything at all, and why not."""

    applies_stopped: bool
    reason: str = Field(default="", max_length=1000)


class Installation(Wire):
    """What holds for all clusters; who said so last."""

    applies_stopped: bool = False
    reason: str = ""
    changed_by: str = ""
    changed_at: datetime | None = None
