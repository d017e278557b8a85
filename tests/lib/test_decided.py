"""What controllers decided: read from their artifacts, in a line of status and in the report's tables."""

import json
from pathlib import Path

import pytest

from flows import wording
from flows.standing import Standing
from lib import deciding, records
from lib.campaign import CampaignFolder
from lib.decided import decisions, figures
from lib.deciding import Decided
from lib.home import Home
from lib.report.controllers import MOST, controllers
from lib.round_record import RoundRecord
from lib.store import Store
from tests.filter_stage import problem
from tests.small_home import SmallHome

HOSTILE = "\x1b]0;owned\x07<b>\n\u202e"
BANDIT = Decided({"value": {"+": 0.51234, HOSTILE: 0.25}, "best": ["+", "-"]}, {"sampler.temperature": 0.7, "sampler.n": 8})


def steered(small: SmallHome, number: int, decided: Decided, chosen: int = 0) -> RoundRecord:
    """A round with a controller that decided so."""
    shards = {f"shard-00{n}/problems.parquet": (records.PROBLEMS, [problem(f"p{n}")]) for n in range(chosen)}
    state = (records.STATE, deciding.rows_of("bandit", decided).to_pylist())
    made = small.publish("control", {"round": number}, {}, {}, {"state.parquet": state, **shards})
    stage = {"verb": "control", "jobs": [], "read": {}, "made": {"state": [made.digest]}}
    if chosen:
        stage["made"]["problems"] = list(small.store.folders(made.digest))
    return RoundRecord(
        "one", number, 1, "accepted", stages={"main/bandit": stage, "main/sample": {"verb": "sample", "made": {}, "jobs": []}}
    )


@pytest.fixture
def small(home: Home) -> SmallHome:
    return SmallHome(home, Store(home.store))


def test_settings_come_first_then_how_many_problems_then_the_state(small: SmallHome):
    (found,) = decisions(steered(small, 1, BANDIT, chosen=2), small.store)
    assert (found["controller"], found["problems"]) == ("main/bandit", 2)
    assert found["settings"] == {"sampler.temperature": 0.7, "sampler.n": 8}
    assert found["state"] == {"value": {"+": 0.51234, HOSTILE: 0.25}, "best": ["+", "-"]}
    assert [*figures(found).items()] == [
        ("sampler.n", "8"),
        ("sampler.temperature", "0.7"),
        ("problems", "2"),
        ("best", "+, -"),
        ("value[+]", "0.5123"),
        (f"value[{HOSTILE}]", "0.25"),
    ]


def test_status_has_a_line_for_each_controller_of_the_last_round_that_fits_and_steers_no_terminal(small: SmallHome):
    folder = CampaignFolder(small.home, "one")
    assert Standing(folder).decided() == []
    for number, decided in ((1, BANDIT), (2, Decided({HOSTILE: 1}, {"sampler.n": 4})), (3, BANDIT)):
        folder.write_round(steered(small, number, decided))
    standing = Standing(folder)
    assert [wording.decided(one) for one in standing.decided()] == [
        "round 3 main/bandit: sampler.n 8, sampler.temperature 0.7, best +, -, value[+] …"
    ]
    assert json.loads(json.dumps(standing.decided()))[0]["settings"] == {"sampler.temperature": 0.7, "sampler.n": 8}
    folder.round_path(3, 1).unlink()
    assert [wording.decided(one) for one in Standing(folder).decided()] == [
        "round 2 main/bandit: sampler.n 4, \\x1b]0;owned\\x07<b>\\n\\u202e 1"
    ]


def test_a_decision_that_cannot_be_read_is_said_to_be_and_hides_nothing_else(small: SmallHome):
    record = steered(small, 1, BANDIT)
    Path(small.store.folder(record.stages["main/bandit"]["made"]["state"][0]) / "state.parquet").unlink()
    (found,) = decisions(record, small.store)
    assert wording.decided({"round": 1, "attempt": 2, **found}) == "round 1 attempt 2 main/bandit: what it decided cannot be read"
    (table,) = controllers([record, steered(small, 2, Decided({}, {"sampler.n": 8}))], small.store)
    assert table["rows"][0] == {"what": "sampler.n", "values": {(2, 1): "8"}}


def test_the_report_has_a_table_for_each_controller_with_its_rounds_beside_each_other(small: SmallHome):
    rounds = [steered(small, 1, Decided({"level": 1.0}, {"sampler.n": 4})), steered(small, 2, Decided({"level": 0.5}, {"sampler.n": 8}))]
    assert controllers(rounds, small.store) == [
        {
            "stage": "main/bandit",
            "rows": [
                {"what": "sampler.n", "values": {(1, 1): "4", (2, 1): "8"}},
                {"what": "level", "values": {(1, 1): "1", (2, 1): "0.5"}},
            ],
            "more": 0,
        }
    ]
    (many,) = controllers([steered(small, 3, Decided({"value": {str(arm): 0.5 for arm in range(MOST + 3)}}))], small.store)
    assert (len(many["rows"]), many["more"]) == (MOST, 3)
