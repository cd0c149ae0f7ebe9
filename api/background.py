"""What an API process does besides answering: jobs for all processes, if the lease is ours."""

import os
import socket
from datetime import timedelta
from uuid import uuid4

from api.cleaner import Cleaner
from api.context import Context
from api.jobs import LEASE, Job, Jobs
from api.publisher import Publisher
from api.services.retention import Policy
from common.storages import Storages
from database.leases import HeldLease, LeaseTerms

# Two thirds of it are longer than one write to S3 with all its repetitions.
_LEASE_DURATION = timedelta(seconds=90)


def jobs_of(context: Context, storages: Storages, retention: Policy) -> Jobs:
    """The jobs of this process, not yet started; a new job is one more line here."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    lease = HeldLease(context.database, LeaseTerms(LEASE, holder, _LEASE_DURATION))
    jobs: list[Job] = [
        Publisher(context.documents, storages, server_key=context.server_key),
        Cleaner(context, storages.files, retention),
    ]
    return Jobs(lease, jobs)
