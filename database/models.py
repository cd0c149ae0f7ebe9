"""All tables. ORM classes stay in `database`, `api` and `creator`; what others see is in `common/contracts`.

Primary keys are UUIDv7. Slugs are unique per kind among living objects only: a destroyed one is a tombstone.
Relationships raise on lazy load, so every query says what it reads.
"""

from database.tables.access import ApiKey, SignInLink
from database.tables.agents import Agent
from database.tables.base import Model, Moment, now, table_of
from database.tables.clusters import Cluster, ClusterVariable
from database.tables.deployments import (
    Creator,
    Deployment,
    DeploymentLogChunk,
    DeploymentStep,
)
from database.tables.documents import Document, Publication
from database.tables.evidence import Evidence
from database.tables.installation import AuditEntry, InstallationSwitches, Lease
from database.tables.probers import Prober, ProberConfig, ProberFile, ProberRevision
from database.tables.recipes import Recipe, RecipeFile, RecipeRevision

__all__ = [
    "Agent",
    "ApiKey",
    "AuditEntry",
    "Cluster",
    "ClusterVariable",
    "Creator",
    "Deployment",
    "DeploymentLogChunk",
    "DeploymentStep",
    "Document",
    "Evidence",
    "InstallationSwitches",
    "Lease",
    "Model",
    "Moment",
    "Prober",
    "ProberConfig",
    "ProberFile",
    "ProberRevision",
    "Publication",
    "Recipe",
    "RecipeFile",
    "RecipeRevision",
    "SignInLink",
    "now",
    "table_of",
]
