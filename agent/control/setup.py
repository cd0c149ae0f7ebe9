"""Builds the control socket from its parts."""

import logging
from dataclasses import dataclass

from agent.clocks import boot_ns
from agent.control.desk import Desk
from agent.control.explaining import Explaining
from agent.control.pause_desk import PauseDesk
from agent.control.server import ControlServer, Service
from agent.control.service import ControlService
from agent.control.survey import AgentFacts, Survey
from agent.control.window import Window
from agent.links import Links
from agent.pauses import PauseFile
from common.contracts.resolution import Host

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ControlParts:
    """What the control socket is about."""

    facts: AgentFacts
    desk: Desk[Window]
    links: Links
    pauses: PauseFile


def control_server(parts: ControlParts) -> ControlServer | None:
    """The server, not yet started; None where no socket can be made: probers are worth more than it."""
    survey = Survey(parts.desk, parts.facts, parts.links, clock_ns=boot_ns)
    service = ControlService(
        survey=survey,
        explaining=Explaining(survey, Host(parts.facts.host)),
        pauses=PauseDesk(parts.desk, parts.pauses),
    )
    try:
        return ControlServer(parts.facts.folder, Service(service.answer))
    except OSError as error:
        log.warning("no control socket in %s: %s", parts.facts.folder, error)
        return None
