"""Make a Prefect server ready for a worker, in a process of its own: end what is dead, make the work pool, deploy prefect.yaml.

A run whose process died together with its server stays RUNNING for ever, and with it the slot of its deployment, so that
every later beat of a schedule would be skipped. `roundhouse up` calls this before anything can run.
"""

from __future__ import annotations

import os
import sys

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate, WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Crashed

from flows.up_services import POOL

UNENDED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def main() -> None:
    """Prepare the server at PREFECT_API_URL, then become `prefect deploy --all`."""
    with get_client(sync_client=True) as client:
        end_dead_runs(client)
        free_slots(client)
        make_pool(client)
    os.execv(sys.executable, [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"])


def end_dead_runs(client: SyncPrefectClient) -> None:
    """Say of every run that its process is gone; only before the first worker or command uses the server is that so."""
    unended = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNENDED)))
    while runs := client.read_flow_runs(flow_run_filter=unended, limit=100):
        for run in runs:
            client.set_flow_run_state(run.id, Crashed(message="It ended together with its Prefect server."), force=True)


def free_slots(client: SyncPrefectClient) -> None:
    """Give back what runs held of their deployments' limits; other limits free themselves when their leases end."""
    for limit in client.read_global_concurrency_limits(limit=200, offset=0):
        if limit.name.startswith("deployment:") and limit.active_slots:
            client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=0))


def make_pool(client: SyncPrefectClient) -> None:
    """The work pool whose worker starts a process a run."""
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    try:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
    except ObjectAlreadyExists:
        return


if __name__ == "__main__":
    main()
