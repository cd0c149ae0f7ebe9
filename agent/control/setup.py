"""Builds the control socket from its parts."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from agent.clocks import boot_ns
from agent.control.desk import Desk
from agent.control.explaining import Explaining
from agent.control.local_files import LocalFiles
from agent.control.pause_desk import PauseDesk
from agent.control.server import ControlServer, Service
from agent.control.service import ControlService, longest_body
from agent.control.survey import AgentFacts, Survey
from agent.control.trials import TrialRules, Trials
from agent.control.window import Window
from agent.errors import LoopSilentError
from agent.links import Links
from agent.pauses import PauseFile
from agent.plan import RunKey
from agent.recorder.recorder import Recorder
from agent.recorder.uploads import Uploads
from common.contracts.control import RecorderState
from common.contracts.resolution import Host

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ControlParts:
    """What the control socket is about."""

    facts: AgentFacts
    desk: Desk[Window]
    links: Links
    pauses: PauseFile
    trial_rules: TrialRules
    recorder: Recorder
    uploads: Uploads | None = None

    def recorder_state(self) -> RecorderState:
        """Of the recorder, with what waits to be uploaded."""
        waiting = self.uploads.waiting if self.uploads else 0
        return self.recorder.state().model_copy(update={"uploads_waiting": waiting})


def control_server(parts: ControlParts) -> ControlServer | None:
    """The server, not yet started; None where no socket can be made: probers are worth more than it."""
    folder = parts.facts.folder
    survey = Survey(
        parts.desk, parts.facts, parts.links, clock_ns=boot_ns, recorder=parts.recorder_state
    )
    files = LocalFiles(folder)
    service = ControlService(
        survey=survey,
        explaining=Explaining(survey, Host(parts.facts.host)),
        pauses=PauseDesk(parts.desk, parts.pauses),
        trials=Trials(parts.desk, survey, parts.trial_rules, files),
        recorder=parts.recorder,
    )
    try:
        files.wipe()
        return ControlServer(folder, Service(service.answer, longest_body))
    except OSError as error:
        log.warning("no control socket in %s: %s", folder, error)
        return None


def uploads_told_to(desk: Desk[Window]) -> Callable[[Sequence[RunKey], UUID], None]:
    """Tell the loop of evidence, so that reports lead to it; an agent that ends reports no more."""

    def uploaded(keys: Sequence[RunKey], evidence: UUID) -> None:
        with contextlib.suppress(LoopSilentError):
            desk.ask(lambda window: window.uploaded(keys, evidence))

    return uploaded
