"""Foreseen mishaps of the agent.

MrProberError
├── AgentAlreadyRunningError   another agent works in the same folder
├── AgentFolderError           the agent's folder cannot be used
├── ScrapePortError            the port of the scrape cannot be listened on
├── FileDamagedError           content does not have the SHA-256 by which it was asked for
├── AgentNotRunningError       no agent answers at the control socket of a folder
├── ControlRefusedError        an agent says no at its control socket
├── LoopSilentError            the loop does not answer the control socket
├── RulesFileError             the file of the machine's owner holds a mistake
├── PublicationUnreadableError object storage does not give what is published there
├── UnexpectedError            a bug of ours, where something else must go on
└── DocumentRefusedError       a configuration document is not believed; the last good one stays
    └── OlderDocumentError     it is older than the one in use
"""

from pathlib import Path

from common.contracts.values import Problem
from common.errors import MrProberError


class AgentAlreadyRunningError(MrProberError):
    """Two agents in one folder would run every prober twice."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"another agent already works in {folder}: stop it, or set MR_PROBER_AGENT_DIR to another folder"
        )
        self.folder = folder


class AgentFolderError(MrProberError):
    """The agent keeps its document, files and identity in a folder, and that does not work."""

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(
            f"the agent's folder {folder} (MR_PROBER_AGENT_DIR) cannot be used: {reason}"
        )
        self.folder = folder


class ScrapePortError(MrProberError):
    """Somebody else has the port, or we may not have it."""

    def __init__(self, port: int | None, reason: object) -> None:
        super().__init__(
            f"cannot listen on 127.0.0.1:{port}: {reason}; MR_PROBER_SCRAPE_PORT names another port"
        )
        self.port = port


class FileDamagedError(MrProberError):
    """Content that is not what its hash promises is never used."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"the content of file {sha256} does not have this SHA-256")
        self.sha256 = sha256


class DocumentRefusedError(MrProberError):
    """The newest document is not used, for this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the configuration document is refused: {reason}")
        self.reason = reason


class OlderDocumentError(DocumentRefusedError):
    """From the API that is a fault; in object storage it may just be late."""


class UnexpectedError(MrProberError):
    """A bug; its traceback is in the log."""

    def __init__(self, error: Exception) -> None:
        # Not its text: nobody knows what is in it, and this goes into reports.
        super().__init__(f"a bug of the agent ({type(error).__name__}), its log says more")


class PublicationUnreadableError(MrProberError):
    """Object storage cannot be read now."""

    def __init__(self, where: str, reason: object) -> None:
        super().__init__(f"{where} cannot be read: {reason}")
        self.where = where


class RulesFileError(MrProberError):
    """Whoever forbids something must not believe it forbidden because of a slip of the pen."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path} (MR_PROBER_AGENT_RULES): {reason}")
        self.path = path


class LoopSilentError(MrProberError):
    """The loop of this agent gave no answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the agent's loop does not answer: {reason}")
        self.reason = reason


class AgentNotRunningError(MrProberError):
    """Nobody answers, or nobody of ours; what is on disk may still tell something."""

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(f"no agent answers in {folder}: {reason}")
        self.folder = folder
        self.reason = str(reason)


class ControlRefusedError(MrProberError):
    """An agent refused what it was asked."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status
