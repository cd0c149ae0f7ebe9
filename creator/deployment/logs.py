"""The log of one deployment: a file to which terraform itself appends, shown without secrets and within a bound."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from common.masking import without_secrets
from creator.deployment.terraform import MAX_LOG_LENGTH, shortened

_MAX_PART_BYTES = MAX_LOG_LENGTH // 2 - 100  # room for the mark between the two parts


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
        return self.text_from(0)

    def text_from(self, begin: int) -> str:
        """What came after a position, without secrets; beginning and end of a flood, of which no more is ever read."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            length = file.seek(0, os.SEEK_END) - begin
            if length <= MAX_LOG_LENGTH:
                return shortened(self._read(file, begin, length), MAX_LOG_LENGTH)
            head = self._read(file, begin, _MAX_PART_BYTES)
            tail = self._read(file, begin + length - _MAX_PART_BYTES, _MAX_PART_BYTES)
        # Half a secret at the cut is not recognized as one: what could be that goes, too.
        unsafe = max((len(secret.encode()) for secret in self.secrets), default=0)
        head, tail = head[: len(head) - unsafe], tail[unsafe:]
        left_out = length - 2 * _MAX_PART_BYTES
        return shortened(f"{head}\n… about {left_out} bytes are left out …\n{tail}", MAX_LOG_LENGTH)

    def _read(self, file: BinaryIO, begin: int, length: int) -> str:
        file.seek(begin)
        # A database stores no NUL characters.
        return self.without_secrets(file.read(length).decode(errors="replace").replace("\0", ""))

    def without_secrets(self, text: str) -> str:
        """Any text with each secret value replaced."""
        return without_secrets(text, self.secrets)
