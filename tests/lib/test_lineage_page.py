"""The pages in MLflow: every way on and back, every digest, and no text of a model's that a browser would read as markup."""

from __future__ import annotations

import re
from dataclasses import replace

from lib import lineage_page as pages
from lib.events import DatasetRef, EvaluateEvent, Measure, ModelRef, RoundEvent
from lib.lineage_page import Link, ModelPlace, RoundLine, Surroundings

BASE, NEXT = (ModelRef("policy", letter * 64, f"store/artifacts/{letter * 2}/{letter * 64}") for letter in "ab")
TABLE = DatasetRef("completions", "main/sample", "c" * 64, "store/artifacts/cc/" + "c" * 64, 100, "completions/v1")
METRICS = {"main/filter/dropped/wrong": 88.0, "main/filter/kept": 12.0, "main/verify/outcomes/correct": 12.0}
ROUND = RoundEvent("demo", 2, 2, (TABLE,), (BASE,), (NEXT,), {"n": "8"}, METRICS, False, "no better than the champion", "flow-1")
NEAR = Surroundings(
    campaign=Link("demo", "#/experiments/1/runs/top"),
    experiment=Link("experiment roundhouse/demo", "#/experiments/1/runs"),
    before=Link("round 1", "#/experiments/1/runs/one"),
    supersedes=Link(""),
    flow_run=Link("flow-1", "http://127.0.0.1:4200/runs/flow-run/flow-1"),
    models=(
        ModelPlace("in", BASE, Link("demo.policy version 1", "#/models/demo.policy/versions/1"), Link("demo", "#/experiments/1/runs/top")),
        ModelPlace(
            "out", NEXT, Link("demo.policy version 2", "#/models/demo.policy/versions/2"), Link("round 2", "#/experiments/1/runs/two")
        ),
    ),
)

HOSTILE = (
    "",
    "`",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "`</code><b>bold</b>`",
    "| a | b |\n# heading\n\n* **bold** _it_ ~~gone~~",
    "https://evil.example www.evil.example",
    "\\<b>x\\</b>&lt;script&gt;",
)


def test_a_rounds_page_names_every_digest_figure_and_way():
    page = pages.round_page(ROUND, NEAR)
    assert page.startswith("# demo: round 2 attempt 2\n\n**rejected**: no better than the champion\n")
    assert all(digest in page for digest in (BASE.digest, NEXT.digest, TABLE.digest))
    assert "[demo.policy version 1](#/models/demo.policy/versions/1)" in page and "[round 1](#/experiments/1/runs/one)" in page
    assert "[flow-1](http://127.0.0.1:4200/runs/flow-run/flow-1)" in page
    assert "- `main/verify`: verdict `correct` 12\n" in page and "- `main/filter`: dropped as `wrong` 88 · `kept` 12\n" in page
    assert f"roundhouse lineage model {'b' * 12}\n" in page


def test_links_between_mlflows_pages_are_its_own_hash_routes():
    page = pages.round_page(replace(ROUND, flow_run=""), replace(NEAR, flow_run=Link("")))
    assert re.findall(r"\]\((?!#/)", page) == []
    assert pages.to_version("my campaign.policy", "3") == "#/models/my%20campaign.policy/versions/3"


def test_what_a_model_wrote_is_never_markup_wherever_it_stands():
    for text in HOSTILE:
        ref = ModelRef(text, "a" * 64, "store/x")
        table = replace(TABLE, name=text, context=text, uri="store/" + text)
        near = replace(NEAR, before=Link(text, "#/x"), flow_run=Link(text), models=(ModelPlace("in", ref, Link(text, "#/y"), Link(text)),))
        event = replace(
            ROUND, campaign=text, reason=text, datasets=(table,), metrics={f"main/filter/dropped/{text}": 1.0}, models_out=(ref,)
        )
        measured = EvaluateEvent(text, 1, 1, ref, text, (Measure(text, f"category={text}", 0.5, None, 3),))
        shown = [
            pages.round_page(event, near),
            pages.evaluation_page(measured, near),
            pages.version_page(event, ref, Link(text, "#/z"), near),
            pages.campaign_page(
                Link(text, "#/c"), text, Link(text, "#/e"), [Link(text, "#/m")], [RoundLine(Link(text, "#/r"), "rejected", text, True)]
            ),
        ]
        for page in shown:
            assert "<" not in page and ">" not in page
            outside = re.sub(r"```.*?```|`[^`\n]*`", "", page, flags=re.DOTALL)  # in a code span nothing is markup
            assert not re.search(r"\]\((?!#/)|!\[|www\.evil|://evil", outside)
            assert not any(line.startswith(("# heading", "* **bold")) for line in page.splitlines())
            tables = [line for line in page.splitlines() if line.startswith("|")]
            assert {line.count("|") for line in tables} <= {6}, "a cell ended a row early"


def test_a_page_that_is_too_long_ends_with_where_the_rest_is():
    page = pages.round_page(replace(ROUND, datasets=(TABLE,) * 200), NEAR)
    short = pages.clipped(page, 8000)
    assert len(short) <= 8000 and short.endswith("… the rest is in the artifact `lineage.md` of the run.\n")
    assert all(line in page.splitlines() for line in short.splitlines()[:-1])
    assert pages.clipped("short\n", 8000) == "short\n"
