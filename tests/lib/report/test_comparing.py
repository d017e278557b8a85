"""The page of a comparison: what it says, what it draws, and that it asks for nothing."""

from __future__ import annotations

import re

import pytest

from lib.report import charts
from lib.report.charts import Place
from lib.report.page import render_comparison
from lib.side_by_side import found
from tests.comparison_courses import comparison, courses


@pytest.fixture(scope="module")
def facts() -> dict:
    asked = comparison(budget_tokens=100_000)
    failing = comparison(recipes=("good", "poor", "<b>broken"))
    return found(failing.model_copy(update={"budget_tokens": asked.budget_tokens}), courses(asked), {"x-<b>broken-seed0": "<script>no"})


@pytest.fixture(scope="module")
def written(facts: dict) -> str:
    return render_comparison(facts)


def test_every_pair_has_its_sentence_and_every_recipe_its_figures(facts: dict, written: str):
    assert all(row["sentence"].replace(" %", "\u00a0%") in written for row in facts["differences"])
    assert '<p class="lead">good is better than poor in pass@1 by ' in written
    for row in facts["test"]:
        assert f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})".replace("-", "−") in written
    assert "The rounds of each campaign had 100,000 tokens to sample and to train on, evaluation apart" in written
    assert "3 recipes · 2 seeds · round 2 of 2 · 100,000 tokens each" in written


def test_figures_are_drawn_against_tokens_sampled_and_trained(written: str):
    for metric in ("pass@1", "pass@8"):
        assert f"<h3>{metric} against tokens sampled to learn from</h3>" in written
        assert f"<h3>{metric} against tokens trained on</h3>" in written
    assert written.count('<path class="joined"') == 2 * 2 * 2, "a line a recipe in each of four charts"
    assert "good, round 2, 20,000 tokens: 0." in written


def test_the_same_facts_give_the_same_bytes_and_nothing_is_loaded_or_run(facts: dict, written: str):
    assert render_comparison(facts) == written
    assert "<script" not in written
    assert "&lt;script&gt;no" in written
    assert "&lt;b&gt;broken" in written
    assert "script-src 'none'" in written.replace("&#39;", "'")
    assert re.findall(r'(?:src|href)="(?!#|data:)', written) == []


def test_a_failed_campaign_stands_among_the_campaigns(written: str):
    assert "Left out, because they failed: x-&lt;b&gt;broken-seed0 (&lt;script&gt;no)." in written
    assert re.search(r"x-&lt;b&gt;broken-seed0</th><td>failed</td>", written)


def test_nothing_to_pair_and_nothing_to_draw_is_said():
    asked = comparison(recipes=("good",), seeds=(0,))
    bare = {**found(asked, courses(asked), {}), "differences": [], "curves": {}, "test": []}
    assert "There is nothing to pair." in render_comparison(bare)


def test_places_of_a_series_are_in_proportion_and_an_interval_reaches_both_ways():
    chart = charts.series("t", [("a", 3, [Place(0, 0.5, 0.4, 0.6, "x"), Place(10, 0.5, 0.5, 0.5, "y"), Place(20, 0.7, 0.6, 0.8, "z")])])
    (line,) = chart["series"]
    assert (line["name"], line["kind"]) == ("a", 3)
    first, second, third = line["points"]
    assert second["x"] - first["x"] == pytest.approx(third["x"] - second["x"], abs=0.2)
    assert first["low"] > first["y"] > first["high"], "downwards on a screen"
    assert second["low"] == second["high"] == second["y"]
    assert line["line"].count("L") == 2
    assert chart["axes"]["x"][0]["label"] == "0"


@pytest.mark.parametrize(("value", "words"), [(0, "0"), (900, "900"), (250_000, "250k"), (1_500_000, "1.5M"), (2e9, "2G")])
def test_large_numbers_are_shortened_on_an_axis(value: float, words: str):
    assert charts.shortened(value) == words
