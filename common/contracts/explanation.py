"""The effective configuration of a host as people see it: `resolve` decides, this only prints it. Pure; shared by API, agent and tools."""

from pydantic import JsonValue

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

_RUNS_SHOWN = 20
_COMBINATIONS_SHOWN = 100


def explained(document: ConfigurationDocument, host: Host) -> HostConfiguration:
    """The probers of a host with the origin of each setting."""
    return HostConfiguration(
        cluster=document.cluster.slug,
        host=host.name,
        labels=document_labels(document, host.name) | dict(host.labels),
        document_revision=document.revision,
        probers=[explained_prober(prober) for prober in resolve(document, host)],
    )


def explained_prober(prober: EffectiveProber) -> ExplainedProber:
    """One of them."""
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
