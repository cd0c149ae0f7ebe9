"""The log of one deployment: stored in pieces while it grows, as one bounded text at its end, never with a secret in it."""

from collections import deque
from collections.abc import Callable, Sequence

from common.masking import Mask, without_secrets
from creator.deployment.terraform import MAX_LOG_LENGTH, shortened

_HALF = MAX_LOG_LENGTH // 2 - 100  # room for the mark between the two parts
_CUTS_TRIED = 50


class DeploymentLog:
    """Our lines and what terraform says, in order; for one thread.

    What could be the beginning of a secret is held back until it is clear what it is.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        store: Callable[[str], None] = lambda _: None,
        until_now: str = "",
        mask: Mask = without_secrets,
    ) -> None:
        """`store` takes each piece; what it raises is raised, and the piece is tried again with the next one."""
        self._mask = mask
        self._secrets: tuple[str, ...] = ()
        self._held_back = 0
        self.hide(secrets)
        self._store = store
        self._pending = ""  # as it came
        self._unstored = ""  # without secrets
        self._stored = len(until_now)
        self._head = until_now[:_HALF]
        self._tail = deque([until_now[_HALF:]]) if until_now[_HALF:] else deque[str]()
        self._tail_length = len(until_now[_HALF:])
        self._left_out = 0

    @property
    def secrets(self) -> tuple[str, ...]:
        """What it does not show."""
        return self._secrets

    def hide(self, secrets: Sequence[str]) -> None:
        """These are secrets, too; before anything is added that may hold them."""
        self._secrets = tuple(sorted({*self._secrets, *secrets}))
        # White space in a secret may have become more: line ends, indentation.
        self._held_back = max((2 * len(secret) + 100 for secret in self._secrets), default=0)

    def add(self, text: str) -> None:
        """Append a line or more; no NUL stays, which databases do not store."""
        self._pending += text.replace("\0", "") + "\n"

    def flush(self) -> None:
        """Store what is clear; of a flood, no more than a log may hold."""
        self._take(_clear_length(self._pending, self._secrets, self._held_back))
        piece = self._unstored[: MAX_LOG_LENGTH - self._stored]
        if piece:
            self._store(piece)
            self._stored += len(piece)
        self._unstored = ""

    def text(self) -> str:
        """All of it until now, beginning and end if it is too long; nothing is held back any more."""
        self._take(len(self._pending))
        if not self._left_out:
            return shortened(self._head + "".join(self._tail), MAX_LOG_LENGTH)
        tail = "".join(self._tail)
        mark = f"\n… about {self._left_out} characters are left out …\n"
        return shortened(f"{self._head}{mark}{tail}", MAX_LOG_LENGTH)

    def without_secrets(self, text: str) -> str:
        """Any text with each secret value replaced."""
        return self._mask(text, self._secrets)

    def _take(self, length: int) -> None:
        clear, self._pending = self._pending[:length], self._pending[length:]
        if not clear:
            return
        shown = self.without_secrets(clear)
        self._unstored += shown
        room = _HALF - len(self._head)
        self._head += shown[:room]
        if shown[room:]:
            self._tail.append(shown[room:])
            self._tail_length += len(shown) - room
        while self._tail and self._tail_length - len(self._tail[0]) >= _HALF:
            gone = self._tail.popleft()
            self._tail_length -= len(gone)
            self._left_out += len(gone)


def _clear_length(text: str, secrets: Sequence[str], held_back: int) -> int:
    """How much of the text can be shown whatever comes next: whole lines, no secret cut in two. Pure."""
    cut = text.rfind("\n", 0, max(0, len(text) - held_back)) + 1
    whole = without_secrets(text, secrets) if cut else ""
    for _ in range(_CUTS_TRIED):
        if not cut or whole == without_secrets(text[:cut], secrets) + without_secrets(
            text[cut:], secrets
        ):
            return cut
        cut = text.rfind("\n", 0, cut - 1) + 1
    return 0


def begins_anew(log: str, header: str) -> str:
    """The log without what came after the newest line `header`: whoever goes on tells that again. Pure."""
    lines = log.splitlines(keepends=True)
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].rstrip("\n") == header:
            return "".join(lines[:number])
    return log
