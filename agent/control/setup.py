"""Builds the control socket from its parts."""

import logging
from dataclasses import dataclass

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
from agent.links import Links
from agent.pauses import PauseFile
from agent.recorder.recorder import Recorder
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


def control_server(parts: ControlParts) -> ControlServer | None:
    """The server, not yet started; None where no socket can be made: probers are worth more than it."""
    folder = parts.facts.folder
    survey = Survey(
        parts.desk, parts.facts, parts.links, clock_ns=boot_ns, recorder=parts.recorder.state
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
