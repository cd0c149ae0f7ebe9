"""The effective configuration of one host: `resolve` decides, this only prints it."""

from pydantic import JsonValue
from sqlalchemy import select

from api.services.agents import sighting_of
from api.services.documents import Documents
from api.services.errors import NotFoundError
from api.services.sightings import remembered, speakers
from common.contracts.configuration import ConfigurationDocument
from common.contracts.host_configuration import (
    ExplainedProber,
    ExplainedRun,
    ExplainedValue,
    HostConfiguration,
)
from common.contracts.probers import EffectiveSettings
from common.contracts.references import as_text
from common.contracts.resolution import (
    EffectiveProber,
    Host,
    PlannedRun,
    document_labels,
    resolve,
)
from database import models

_RUNS_SHOWN = 20
_COMBINATIONS_SHOWN = 100


def host_configuration(documents: Documents, slug: str, name: str) -> HostConfiguration:
    """What runs on a host that the recipe or an agent names; NotFoundError for any other."""
    document = documents.whole(documents.current(slug))
    statement = select(models.Agent).where(
        models.Agent.cluster_id == document.cluster.id, models.Agent.host == name
    )
    now = documents.clock()
    with documents.database.reading() as session:
        seen = [sighting_of(row) for row in session.scalars(statement)]
    speaker = speakers(remembered(seen, document.hosts, now), now).get(name)
    if speaker is None and name not in document.hosts:
        raise NotFoundError("host", name)
    labels = speaker.sighting.report.labels if speaker else {}
    return explained(document, Host(name, labels))


def explained(document: ConfigurationDocument, host: Host) -> HostConfiguration:
    """The probers of a host with the origin of each setting. Pure."""
    return HostConfiguration(
        cluster=document.cluster.slug,
        host=host.name,
        labels=document_labels(document, host.name) | dict(host.labels),
        document_revision=document.revision,
        probers=[_prober(prober) for prober in resolve(document, host)],
    )


def _prober(prober: EffectiveProber) -> ExplainedProber:
    return ExplainedProber(
        id=prober.id,
        slug=prober.slug,
        revision=prober.revision,
        problem=prober.problem,
        settings={
            name: ExplainedValue(
                value=_value(prober.settings, name),
                layer=origin.layer,
                config=origin.config,
                order=origin.order,
            )
            for name, origin in sorted(prober.origins.items())
        },
        combinations=0 if prober.problem else len(prober.combinations),
        runs=[_run(prober, run) for run in prober.runs[:_RUNS_SHOWN]],
        runs_in_all=len(prober.runs),
    )


def _value(settings: EffectiveSettings, name: str) -> JsonValue:
    field, _, key = name.partition(".")
    value: JsonValue = settings.model_dump(mode="json").get(field)
    return value.get(key) if key and isinstance(value, dict) else value


def _run(prober: EffectiveProber, run: PlannedRun) -> ExplainedRun:
    secrets = {name: as_text(value) for name, value in run.secret_environment.items()}
    return ExplainedRun(
        combinations=[
            dict(prober.combinations[index]) for index in run.combinations[:_COMBINATIONS_SHOWN]
        ],
        is_batch=run.targets is not None,
        arguments=list(run.arguments),
        environment={**run.environment, **secrets},
    )
