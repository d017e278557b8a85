"""What an evaluator writes reaches the report and MLflow, whichever evaluator it is."""

import pytest

from lib import round_events
from lib.evaluators.calibration import Calibration
from lib.evaluators.pass_at_k import PassAtK
from lib.evaluators.self_correction import SelfCorrection
from lib.report import curves
from lib.round_record import RoundRecord
from lib.samplers.independent import Independent
from lib.store import Store
from lib.telling import figures
from lib.verifiers.likelihood import Likelihood
from tests.evaluated import drawn

POLICY = "p" * 64
EVALUATORS = (
    PassAtK(k=(1,), sampler=Independent(n=2)),
    PassAtK(k=(1,), sampler=Independent(n=2), name="tree"),
    Calibration(scorer=Likelihood(name="s", measure="p_true")),
    SelfCorrection(sampler=Independent()),
)


@pytest.fixture
def record():
    tables = drawn({"a": [0.9, 0.3], "b": [0.4, 0.2]}, a="cw", b="wc")
    made = RoundRecord("one", 1, 1, "accepted", start={"policy": POLICY})
    common = {"model_id": POLICY, "split": "validation"}
    made.metrics = [common | row for evaluator in EVALUATORS for row in evaluator.evaluate(tables).metrics]
    return made


def test_every_figure_that_has_no_chart_stands_in_a_table_with_its_error(record):
    before = RoundRecord("one", 0, 1, "accepted", start={"policy": POLICY}, metrics=record.metrics[:1])
    found = curves.others([before, record])
    assert found["columns"] == ["base", "1"]
    shown = {(row["evaluator"], row["metric"]): row["cells"] for row in found["rows"]}
    wanted = {(row["evaluator"], row["metric"]) for row in record.metrics} - {("PassAtK", "pass_at_1")}
    assert {*shown} == wanted
    assert shown["PassAtK", "tree_pass_at_1"] == {1: "0.5 ± 0"}
    assert shown["SelfCorrection", "acc_1"] == {1: "0.5 ± 0"}
    assert shown["Calibration", "brier"] == {1: "0.225 ± 0.18"}  # 0.05 and 0.4
    assert {*shown["PassAtK", "undecided_share"]} == {0, 1}
    assert [chart["name"] for chart in curves.metrics([before, record], [])] == ["pass@1"]


def test_every_figure_is_a_metric_of_the_evaluations_run_in_mlflow(record, home):
    (event,) = round_events.evaluate_events(record.metrics, record, Store(home.store))
    told = figures(event)
    for row in record.metrics:
        assert told[f"validation/{row['metric']}/n"] > 0
        if row["stderr"] is not None:
            assert f"validation/{row['metric']}/stderr" in told
    assert told["validation/tree_pass_at_1"] == 0.5
    assert told["validation/aurc"] == pytest.approx((0 + 1 / 2 + 2 / 3 + 2 / 4) / 4)
