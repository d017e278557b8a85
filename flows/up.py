"""`roundhouse up`: a Prefect server, an MLflow server, a worker and the deployments of prefect.yaml, for as long as it runs.

What ends by itself is started again. Ctrl-C, SIGTERM and a closed terminal stop all of it; so does a SIGKILL of `up`, because
a process of ours (flows/up_ending.py) waits for its end. Where that one was killed too, the next `up` of the home ends first
what is left, told from everything else by the mark in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flows import owned, server, terminal
from flows.up_ending import end_everything
from flows.up_services import ROOT, Service, mlflow_service, prefect_service, read_state, standing, worker_service, write_state
from lib import home as homes
from lib.errors import RoundhouseError, UserError
from lib.files import locked
from lib.home import Home

LOOK_SECONDS = 1.0
"""How often it looks whether all of it still runs."""

RESTARTS, WITHIN_SECONDS = 5, 600.0
"""What ends more often than this in so long is broken, and starting it again would hide that."""

PATIENCE_SECONDS = 1.0
"""How long the lock is asked for again while other commands only look whether `up` runs, each for microseconds."""

LEAVE_SECONDS = 15.0
"""How long a private server that nobody uses may take to go."""


def up(prefect_port: int, mlflow_port: int, as_json: bool) -> None:
    """Start everything, say where it is, and stay until stopped."""
    home = homes.current()
    if not (ROOT / "prefect.yaml").is_file():
        raise UserError(f"no prefect.yaml in {ROOT}; install roundhouse from its checkout: pip install -e .")
    with _stopped_by_signals(), _alone(home):
        if "mark" in (left := read_state(home)):
            end_everything(home, left["mark"])
        _refuse_taken(prefect_port, mlflow_port)
        with _started(home, prefect_port, mlflow_port) as (mark, services):
            _tell(home, services, as_json)
            while True:
                time.sleep(LOOK_SECONDS)
                for service in services:
                    _keep_up(service, home, mark, services)


def check(as_json: bool) -> None:
    """Say what of it runs; exit status 1 unless all of it answers."""
    home = homes.current()
    rows = standing(home)
    if as_json:
        terminal.print_json(rows)
    else:
        shown = [{**row, "pid": row["pid"] or "", "answers": "yes" if row["answers"] else "no"} for row in rows]
        terminal.show(shown, f"roundhouse up in {home.root}", as_json=False)
    if not all(row["answers"] for row in rows):
        raise SystemExit(1)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal end the block; that is how `up` is meant to end."""

    def stop(_signal: int, _frame: Any) -> None:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)  # the ending is bounded, and half of it would leave something behind
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, stop)
    with contextlib.suppress(KeyboardInterrupt):
        yield


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Raises UserError where another `up` runs in the home."""
    patient_until = time.monotonic() + PATIENCE_SECONDS
    while True:
        with locked(home.up / "lock", wait=False) as held:
            if held:
                yield
                return
        if time.monotonic() > patient_until:
            raise UserError(
                f"process {read_state(home).get('pid', 'unknown')} runs `roundhouse up` in {home.root} already;"
                " see it with: roundhouse up --check, or stop that process"
            )
        time.sleep(0.05)


def _refuse_taken(prefect_port: int, mlflow_port: int) -> None:
    if prefect_port == mlflow_port:
        raise UserError(f"both servers cannot have port {prefect_port}; name another with --mlflow-port")
    for option, port in (("--prefect-port", prefect_port), ("--mlflow-port", mlflow_port)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers have it: what only lingers is free
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise UserError(f"port {port} cannot be used ({error.strerror}); name another with {option}") from None


@contextlib.contextmanager
def _started(home: Home, prefect_port: int, mlflow_port: int) -> Iterator[tuple[str, list[Service]]]:
    """All of it, ended together however the block ends."""
    mark, since = uuid.uuid4().hex, datetime.now(UTC)
    prefect, mlflow = prefect_service(prefect_port), mlflow_service(mlflow_port, home.mlflow_uri)
    services = [prefect, mlflow, worker_service(prefect.address, since)]
    _settle(home, prefect.address)
    ender = subprocess.Popen(
        [sys.executable, "-m", "flows.up_ending", str(home.root), mark], stdin=subprocess.PIPE, start_new_session=True, cwd=ROOT
    )
    assert ender.stdin is not None
    try:
        terminal.errors.print("starting the servers and a worker; half a minute, the first time", markup=False)
        with _no_other_server(home):
            for service in (prefect, mlflow):
                _start(service, home, mark, since, services)
            _wait(prefect, home)
            server.note(home, f"{prefect.address}/api", _pid(prefect), mark)
            _prepare(home, mark)
        _start(services[-1], home, mark, since, services)
        for service in services:
            _wait(service, home)
        yield mark, services
    finally:
        with contextlib.suppress(OSError):  # the terminal that is closed takes no more words
            terminal.errors.print("stopping what runs", markup=False)
        end_everything(home, mark)
        ender.stdin.close()
        ender.wait()


def _settle(home: Home, prefect: str) -> None:
    """The environment of all that is started: this home, its Prefect server, and leases that outlive that server's restart."""
    server.settle(home)
    os.environ["ROUNDHOUSE_HOME"] = str(home.root)
    os.environ["PREFECT_API_URL"] = f"{prefect}/api"
    os.environ.setdefault("PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE", "prefect.server.concurrency.lease_storage.filesystem")


@contextlib.contextmanager
def _no_other_server(home: Home) -> Iterator[None]:
    """Hold back who would start a private server over the same database, once none runs.

    Raises UserError while a command uses one.
    """
    deadline = time.monotonic() + LEAVE_SECONDS
    while True:
        with locked(home.prefect / "start.lock"):
            if server.running(home) is None:
                yield
                return
            if time.monotonic() > deadline and not server.end_unused(home):
                raise UserError(f"a command still runs in {home.root} with a Prefect server of its own; start this again when it has ended")
        time.sleep(0.2)


def _start(service: Service, home: Home, mark: str, since: datetime, services: list[Service]) -> None:
    if service.command:
        service.start(home, mark)
    write_state(home, mark, since, services)


def _wait(service: Service, home: Home) -> None:
    deadline = time.monotonic() + server.START_SECONDS
    while not service.is_ready():
        if service.process is None:
            raise UserError(f"no MLflow server answers at {service.address}; start it, or unset MLFLOW_TRACKING_URI")
        if service.process.poll() is not None or time.monotonic() > deadline:
            raise RoundhouseError(f"{service.what} did not start; the reason is in {home.up / service.name}.log")
        time.sleep(0.2)


def _pid(service: Service) -> int:
    assert service.process is not None
    return service.process.pid


def _prepare(home: Home, mark: str) -> None:
    """End what the server believes to be running still, make the work pool, deploy prefect.yaml."""
    with (home.up / "deploy.log").open("ab") as log:
        done = subprocess.run(
            [sys.executable, "-m", "flows.preparing"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, owned.MARK: mark},
            check=False,
        )
    if done.returncode:
        raise RoundhouseError(f"prefect.yaml could not be deployed; the reason is in {home.up / 'deploy.log'}")


def _tell(home: Home, services: list[Service], as_json: bool) -> None:
    if as_json:
        terminal.print_json(standing(home))
        sys.stdout.flush()
        return
    for service in services:
        terminal.console.print(f"{service.what + ':':<30} {service.address}", markup=False, soft_wrap=True)
    terminal.console.print(f"Ctrl-C stops all of it; what it logs is in {home.up}", markup=False, soft_wrap=True)


def _keep_up(service: Service, home: Home, mark: str, services: list[Service]) -> None:
    """Start again what ended; the home's Prefect server keeps its address."""
    if service.process is None or (code := service.process.poll()) is None:
        return
    now = time.monotonic()
    service.restarts = [moment for moment in service.restarts if now - moment < WITHIN_SECONDS] + [now]
    if len(service.restarts) > RESTARTS:
        raise RoundhouseError(f"{service.what} ended {RESTARTS} times; the reason is in {home.up / service.name}.log")
    terminal.errors.print(f"{service.what} ended ({_how(code)}) and is started again", markup=False)
    since = datetime.fromisoformat(read_state(home)["since"])
    with locked(home.prefect / "start.lock"):
        _start(service, home, mark, since, services)
        if service.name == "prefect":
            server.note(home, f"{service.address}/api", _pid(service), mark)


def _how(code: int) -> str:
    return f"exit status {code}" if code >= 0 else f"signal {-code}"
