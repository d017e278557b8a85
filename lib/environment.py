"""The environment variables that keep the libraries quiet, private and single-threaded.

They are read when torch, transformers, prefect or mlflow are first imported, so call `quiet_environment` before that,
and before the first child process is started: children inherit the environment of the moment when their server started.
A variable that the user has set is left as it is.
"""

from __future__ import annotations

import os

PRIVATE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # those pages ask Amplitude for settings even where analytics are off
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""No library reports home."""

QUIET = {
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONWARNINGS": "ignore:resource_tracker",  # a stage's child is killed, and the tracker frees the semaphores of its pools
    "PREFECT_LOGGING_EXTRA_LOGGERS": "lib,tasks",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
"""No library prints what nobody asked for; what lib and tasks log shows in Prefect's run page."""

SERVED = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
"""A Prefect server that is started again still knows who holds which slot; from memory, what was held then is taken for ever."""

MACHINE = {
    "OMP_NUM_THREADS": "1",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # asking whether there is a GPU must not initialise CUDA before a fork
}
"""One thread per process: several stages run side by side, and on a loaded machine more threads are slower."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
"""Set only where ROUNDHOUSE_OFFLINE=1: no library asks the network for a model or a data set."""


def quiet_environment() -> dict[str, str]:
    """Set what the user has not set, and return every variable of these with the value that now holds."""
    wanted = PRIVATE | QUIET | SERVED | MACHINE
    if os.environ.get("ROUNDHOUSE_OFFLINE") == "1":
        wanted |= OFFLINE
    return {name: os.environ.setdefault(name, value) for name, value in wanted.items()}
