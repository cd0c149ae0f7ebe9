"""All parts of deployments, put together: what `main.py` needs to know of this package."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from common.masking import Mask, without_secrets
from common.object_storage import ObjectStorage
from creator.deployment.applying import Applying
from creator.deployment.backends import States
from creator.deployment.beginning import Beginnings
from creator.deployment.deployer import Deployer, Parts
from creator.deployment.deployment_records import DeploymentRecords
from creator.deployment.descriptions import Descriptions, Platform
from creator.deployment.evidence_records import EvidenceRecords
from creator.deployment.judging import Judging
from creator.deployment.log_records import LogRecords
from creator.deployment.plans import Plans
from creator.deployment.preparation import Preparation
from creator.deployment.records import Records
from creator.deployment.running import Engine, Runner, Terraform
from creator.deployment.snapshots import Snapshots
from creator.deployment.workspaces import Workspaces
from creator.steps.commands import Commands
from creator.steps.records import StepRecords
from creator.steps.steps import Steps
from database.session import Database


@dataclass(frozen=True)
class Ground:
    """What deployments stand on."""

    database: Database
    storage: ObjectStorage  # of files, kept plans and snapshots
    platform: Platform
    engine: Engine
    commands: Commands
    states: States
    data_folder: Path
    plan_life: timedelta  # how long a plan waits for a person
    clock: Callable[[], datetime]
    stop: Event
    # Another one only in tests, which show what terraform hides by itself.
    mask: Mask = without_secrets


@dataclass(frozen=True)
class Deployments:
    """What the conductor works with."""

    clusters: Records
    descriptions: Descriptions
    deployer: Deployer
    steps: Steps


def deployments_on(ground: Ground) -> Deployments:
    """Build it all."""
    clusters = Records(ground.database, ground.clock)
    records = DeploymentRecords(ground.database, ground.clock)
    evidence = EvidenceRecords(ground.database)
    workspaces = Workspaces(ground.data_folder)
    keyring = ground.platform.keyring
    descriptions = Descriptions(
        clusters, ground.storage, workspaces, ground.states, ground.platform
    )
    steps = Steps(StepRecords(ground.database, ground.clock), ground.commands)
    terraform = Terraform(ground.engine, steps, ground.commands, ground.states, ground.stop)
    runner = Runner(terraform, records)
    plans = Plans(ground.storage, keyring, life=ground.plan_life)
    preparation = Preparation(
        records=records,
        plans=plans,
        engine=ground.platform.terraform_version,
        data_folder=ground.data_folder,
        user=ground.commands.user,
        clock=ground.clock,
    )
    parts = Parts(
        records=records,
        beginnings=Beginnings(
            clusters,
            records,
            LogRecords(ground.database),
            evidence,
            descriptions,
            workspaces,
            ground.states,
            preparation,
            ground.mask,
        ),
        preparation=preparation,
        runner=runner,
        judging=Judging(records, evidence, preparation, plans, runner, ground.clock),
        applying=Applying(
            records,
            Snapshots(ground.storage, keyring),
            runner,
            ground.engine.step_time_limit,
            ground.clock,
        ),
        clock=ground.clock,
    )
    return Deployments(clusters, descriptions, Deployer(parts), steps)
