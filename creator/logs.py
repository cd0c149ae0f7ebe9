"""The log of one deployment: a file to which terraform itself appends, shown without secrets and within a bound."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.masking import without_secrets
from creator.terraform import MAX_LOG_LENGTH, shortened


@dataclass(frozen=True)
class DeploymentLog:
    """Our lines and the output of all steps, in order."""

    path: Path
    secrets: Sequence[str] = field(repr=False)

    def add(self, line: str) -> int:
        """Append a line of ours; the position after it (bytes); OSError."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(f"{line}\n".encode())
        return self.size()

    def size(self) -> int:
        """Bytes until now."""
        return self.path.stat().st_size if self.path.exists() else 0

    def text(self) -> str:
        """All of it as people may see it."""
        return shortened(self.text_from(0), MAX_LOG_LENGTH)

    def text_from(self, begin: int) -> str:
        """What came after a position, without secrets; empty if there is nothing."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(begin)
            # A database stores no NUL characters.
            content = file.read().decode(errors="replace").replace("\0", "")
        return self.without_secrets(content)

    def without_secrets(self, text: str) -> str:
        """Any text with each secret value replaced."""
        return without_secrets(text, self.secrets)
