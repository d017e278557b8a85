"""How long a job may run, as the environment says it."""

from __future__ import annotations

import pytest

from lib.errors import UserError
from lib.time_limits import KINDS, VARIABLE, time_limits


def test_an_hour_and_a_day_for_training():
    limits = time_limits({})
    assert limits["sample"] == 3600 and limits["train"] == 24 * 3600


def test_one_number_is_for_every_kind_of_job():
    assert time_limits({VARIABLE: "90.5"}) == dict.fromkeys(KINDS, 90.5)


def test_a_stage_may_have_its_own_and_the_others_keep_theirs():
    limits = time_limits({VARIABLE: "sample=7200, train=10"})
    assert (limits["sample"], limits["train"], limits["verify"]) == (7200, 10, 3600)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("soon", "ROUNDHOUSE_TIMEOUT_SECONDS=soon: write seconds, such as 7200, or by stage sample=7200,train=172800"),
        ("0", "write seconds"),
        ("-1", "write seconds"),
        ("inf", "write seconds"),
        ("nan", "write seconds"),
        ("train=", "write seconds"),
        ("trian=5", "no stage 'trian' for ROUNDHOUSE_TIMEOUT_SECONDS; did you mean 'train'?"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, line: str):
    with pytest.raises(UserError, match=line.replace("?", r"\?")):
        time_limits({VARIABLE: text})


def test_every_kind_of_job_has_a_limit():
    from pathlib import Path

    from lib import stages

    assert set(KINDS) >= {path.stem for path in Path(str(stages.__file__)).parent.glob("*.py") if "def run(work" in path.read_text()}
