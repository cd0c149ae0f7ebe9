"""Foreseen mishaps of meeseeks.

MrProberError
├── SpecsMissingError       the Python of the proto specs is not built, or is another one
├── PackagesMissingError    the environment has no grpc
├── EndpointError           the settings of the Compute Admin API make no sense together
├── ComputeAdminError       the Compute Admin API did not give the whole list
├── UnusableVariableError   the variable or its cluster cannot be kept in step
├── OutdatedPlanError       somebody changed the variable after it was read
├── UnknownOutcomeError     the write got no answer: it may have happened
├── MetricsError            the numbers cannot be shown where the settings want them
└── StoppedError            the process was told to end
"""

from pathlib import Path

from common.errors import MrProberError


class SpecsMissingError(MrProberError):
    """What `./build_proto_specs.sh` makes cannot be used."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"the Python of the proto specs is not built in {folder}:"
            f" run ./build_proto_specs.sh there ({reason})"
        )


class PackagesMissingError(MrProberError):
    """The virtual environment was made for something else."""

    def __init__(self, reason: ImportError) -> None:
        super().__init__(
            f"this environment cannot call the Compute Admin API ({reason}):"
            " pip install -Ur requirements.txt"
        )


class EndpointError(MrProberError):
    """The Compute Admin API cannot be called as the settings say."""


class ComputeAdminError(MrProberError):
    """No whole list of nodes, so nothing was compared; `code` is gRPC's name, if there is one."""

    def __init__(self, endpoint: str, reason: str, *, code: str = "") -> None:
        super().__init__(f"the Compute Admin API at {endpoint} gave no whole list: {reason}")
        self.code = code


class UnusableVariableError(MrProberError):
    """There is nothing that could be compared or changed."""


class OutdatedPlanError(MrProberError):
    """Theirs stays."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was changed meanwhile by somebody else, whose change stays: plan again"
        )


class UnknownOutcomeError(MrProberError):
    """Run again: a change that happened is no change any more."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"{name} may be changed or not, the answer was lost: run again ({reason})")


class MetricsError(MrProberError):
    """A port that is taken, a file that cannot be written."""


class StoppedError(MrProberError):
    """SIGTERM or Ctrl-C: nothing more is begun."""

    def __init__(self) -> None:
        super().__init__("told to end")
