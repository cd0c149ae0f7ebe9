"""Which document is in force, as far as the loop has said so: *decide*."""

from dataclasses import dataclass

from agent.mailboxes import Mailbox
from agent.plan import HostPlan
from common.contracts.configuration import ConfigurationDocument


@dataclass(frozen=True)
class PlanTaken:
    """What the loop has to say about a plan that is new to it."""

    plan: HostPlan
    is_in_force: bool


class InForce:
    """The newest document that is known to have been in force, which may be an older one than was; used by the configuration's thread."""

    def __init__(self, taken: Mailbox[PlanTaken] | None) -> None:
        """`taken` is what the loop says; None: there is no loop, and every plan counts."""
        self._taken = taken
        self.document: ConfigurationDocument | None = None

    def listen(
        self, plan: HostPlan | None, document: ConfigurationDocument | None, wait_seconds: float = 0.0
    ) -> bool:  # fmt: skip
        """Hear about the newest plan, made of this document; False only if the loop cannot put it in force."""
        if self._taken is None:
            self.document = document
            return True
        taken = self._taken.take(wait_seconds=wait_seconds)
        if taken is None or taken.plan is not plan:
            return True
        if taken.is_in_force:
            self.document = document
        return taken.is_in_force
