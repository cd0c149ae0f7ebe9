"""What of the API belongs into the config repository, as the contracts that files are read into. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from common.contracts.clusters import Cluster, ClusterCreate, ClusterState
from common.contracts.files import FileReference, FileUpload
from common.contracts.probers import Prober, ProberConfigPut, ProberCreate
from common.contracts.recipes import Recipe, RecipeCreate
from tools.synchronize.objects import MANAGER, Current, Desired, Pair
from tools.synchronize.ownership import Adoption, Ownership
from tools.synchronize.plan import Kind


@dataclass
class Exported:
    """The API as a desired state, and what of it cannot be one."""

    desired: Desired
    notices: list[str] = field(default_factory=list)


def wanted_hashes(current: Current, adopted: Adoption) -> set[str]:
    """SHA-256 of all files that will be written."""
    ownership = Ownership(adopted)
    owned: list[Recipe | Prober] = [
        *(one for one in current.recipes.values() if ownership.may_have(Kind.RECIPE, (one.slug,), one.managed_by)),
        *(one for one in current.probers.values() if ownership.may_have(Kind.PROBER, (one.slug,), one.managed_by)),
    ]  # fmt: skip
    return {file.sha256 for one in owned for file in one.revision.files}


def exported(current: Current, adopted: Adoption) -> Exported:
    """What is ours, and what is adopted; never secrets, nor what another manager keeps."""
    ownership = Ownership(adopted)
    notices: list[str] = []
    recipes = {
        slug: RecipeCreate(
            slug=slug,
            description=one.description,
            files=list(_uploads(one.revision.files, current.contents, f"recipe {slug}", notices)),
            managed_by=MANAGER,
        )
        for slug, one in current.recipes.items()
        if ownership.may_have(Kind.RECIPE, (slug,), one.managed_by)
    }
    probers: dict[str, ProberCreate] = {}
    configs: dict[Pair, ProberConfigPut] = {}
    for slug, prober in current.probers.items():
        if not ownership.may_have(Kind.PROBER, (slug,), prober.managed_by):
            continue
        fields = prober.model_dump(mode="json", include=set(ProberCreate.model_fields))
        files = list(_uploads(prober.revision.files, current.contents, f"prober {slug}", notices))
        probers[slug] = ProberCreate.model_validate(
            {**fields, "files": files, "managed_by": MANAGER}
        )
        for config in prober.configs:
            if ownership.may_have(Kind.CONFIG, (slug, config.slug), config.managed_by):
                values = config.model_dump(mode="json", include=set(ProberConfigPut.model_fields))
                configs[slug, config.slug] = ProberConfigPut.model_validate(
                    {**values, "managed_by": MANAGER}
                )
    clusters = {
        slug: _cluster(cluster, _values(cluster, current, ownership, notices))
        for slug, cluster in current.clusters.items()
        if cluster.state is ClusterState.ACTIVE
        and ownership.may_have(Kind.CLUSTER, (slug,), cluster.managed_by)
    }
    return Exported(Desired(recipes, probers, configs, clusters), notices)


def _cluster(cluster: Cluster, variables: dict[str, object]) -> ClusterCreate:
    fields = cluster.model_dump(mode="json", include=set(ClusterCreate.model_fields))
    if not cluster.protected:
        del fields["protected"]  # unsaid, it stays as it is
    gates = cluster.gates.model_dump(mode="json", exclude_defaults=True)
    return ClusterCreate.model_validate(
        {**fields, "gates": gates, "variables": variables, "managed_by": MANAGER}
    )


def _values(
    cluster: Cluster, current: Current, ownership: Ownership, notices: list[str]
) -> dict[str, object]:
    values: dict[str, object] = {}
    for (slug, name), variable in sorted(current.variables.items()):
        if slug != cluster.slug:
            continue
        if not ownership.may_have(Kind.VARIABLE, (slug, name), variable.managed_by):
            continue
        if variable.sensitive:
            notices.append(f"variable {slug}/{name} is secret: it stays in the API alone")
        else:
            values[name] = variable.value
    return values


def _uploads(
    files: list[FileReference], contents: Mapping[str, bytes], owner: str, notices: list[str]
) -> Iterator[FileUpload]:
    for file in files:
        if file.sha256 in contents:
            yield FileUpload.of(file.path, contents[file.sha256], executable=file.mode == "0755")
        else:
            notices.append(f"{owner}: the API does not give {file.path}")
