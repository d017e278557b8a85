"""How long a job may run before its child is killed: an hour, and a day for training, unless ROUNDHOUSE_TIMEOUT_SECONDS says otherwise.

    ROUNDHOUSE_TIMEOUT_SECONDS=7200                          every job
    ROUNDHOUSE_TIMEOUT_SECONDS=sample=7200,train=172800      by stage; the others keep theirs

It counts from when the child holds its device. Never part of a content key, so a limit may be changed between two runs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from lib.errors import UnknownName, UserError

VARIABLE = "ROUNDHOUSE_TIMEOUT_SECONDS"
KINDS = ("adopt", "initialise", "problems", "recordings", "subset", "control", "sample", "verify", "filter", "train", "evaluate")
"""Every kind of job: the stages, and what comes before them."""

_HOUR = 3600.0
_USUAL = {kind: 24 * _HOUR if kind == "train" else _HOUR for kind in KINDS}


def time_limits(environment: Mapping[str, str] = os.environ) -> dict[str, float]:
    """Kind of job → seconds. Raises UserError for a value that is neither seconds nor STAGE=SECONDS."""
    text = environment.get(VARIABLE, "").strip()
    if text and "=" not in text:
        return dict.fromkeys(KINDS, _seconds(text, text))
    limits = dict(_USUAL)
    for part in text.split(",") if text else ():
        kind, _, seconds = part.strip().partition("=")
        if kind not in KINDS:
            raise UnknownName("stage", kind, KINDS, f"for {VARIABLE}")
        limits[kind] = _seconds(seconds, text)
    return limits


def _seconds(text: str, whole: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UserError(f"{VARIABLE}={whole}: write seconds, such as 7200, or by stage sample=7200,train=172800")
    return seconds
