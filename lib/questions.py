"""What people ask of a ledger, by name, in SQL over its views.

A train stage has completions, verdicts and what was dropped only where its training sampled for itself.
"""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """A question in words, and the SQL that answers it."""

    asks: str
    sql: str


_FUNNEL = """
WITH jobs AS (SELECT DISTINCT campaign, round, attempt, verb, key, digest FROM stages WHERE verb <> 'evaluate'),
sampled AS (SELECT campaign, round, attempt, count(DISTINCT completion_id) AS sampled
    FROM jobs JOIN completions ON artifact = digest WHERE verb IN ('sample', 'train') GROUP BY ALL),
correct AS (SELECT campaign, round, attempt, count(DISTINCT completion_id) AS correct
    FROM jobs JOIN judged ON artifact = digest WHERE verb IN ('verify', 'train') AND outcome = 'correct' GROUP BY ALL),
kept AS (SELECT campaign, round, attempt, count(DISTINCT completion_id) AS kept
    FROM jobs JOIN example_sources ON artifact = digest WHERE verb IN ('filter', 'train') AND part <> 'prompt' GROUP BY ALL),
trained AS (SELECT campaign, round, attempt, count(*) AS trained
    FROM jobs JOIN inputs USING (key) JOIN examples USING (artifact) LEFT JOIN evicted AS gone
        ON name = 'examples' AND gone.artifact = jobs.digest AND gone.place = inputs.place AND gone.example_id = examples.example_id
    WHERE verb = 'train' AND name IN ('examples', 'replay') AND gone.example_id IS NULL GROUP BY ALL)
SELECT campaign, round, attempt, coalesce(sampled, 0) AS sampled, coalesce(correct, 0) AS correct,
    coalesce(kept, 0) AS kept, coalesce(trained, 0) AS trained
FROM (SELECT DISTINCT campaign, round, attempt FROM jobs)
LEFT JOIN sampled USING (campaign, round, attempt) LEFT JOIN correct USING (campaign, round, attempt)
LEFT JOIN kept USING (campaign, round, attempt) LEFT JOIN trained USING (campaign, round, attempt)
ORDER BY campaign, round, attempt
"""

_DROP_REASONS = """
SELECT campaign, round, attempt, stage, filter, reason, count(*) AS n
FROM stages JOIN dropped ON artifact = digest WHERE verb IN ('filter', 'train')
GROUP BY ALL ORDER BY campaign, round, attempt, stage, n DESC, filter, reason
"""

_PASS_RATES = """
WITH answered AS (
    SELECT DISTINCT s.campaign, s.round, s.attempt, c.problem_id, c.completion_id, j.outcome
    FROM stages AS s JOIN judged AS j ON j.artifact = s.digest JOIN inputs AS i ON i.key = s.key AND i.name = 'completions'
    JOIN completions AS c ON c.artifact = i.artifact AND c.completion_id = j.completion_id
    WHERE s.verb IN ('verify', 'train')),
solved AS (SELECT campaign, round, attempt, problem_id, count(*) AS n, count(*) FILTER (outcome = 'correct') AS correct,
        count(*) FILTER (outcome = 'undecided') AS undecided
    FROM answered GROUP BY ALL)
SELECT campaign, round, attempt, count(*) AS problems, CAST(sum(n) AS BIGINT) AS completions,
    round(sum(correct) / sum(n), 4) AS correct, round(sum(undecided) / sum(n), 4) AS undecided,
    round(count(*) FILTER (correct > 0) / count(*), 4) AS solved_once
FROM solved GROUP BY ALL ORDER BY campaign, round, attempt
"""

_CHAMPIONS = """
WITH accepted AS (SELECT *, row_number() OVER (PARTITION BY campaign, role ORDER BY round DESC, attempt DESC) AS place
    FROM rounds WHERE state = 'accepted')
SELECT campaign, role, coalesce(model_out, model_in) AS model, round, attempt, sentence
FROM accepted WHERE place = 1 ORDER BY campaign, role
"""

_CURVES = """
SELECT campaign, split, metric, round, attempt, value, stderr, n
FROM metrics WHERE slice = 'all' ORDER BY campaign, split, metric, round, attempt, evaluator
"""

_COSTS = """
WITH spent AS (SELECT campaign, round, attempt, stage,
        CAST(sum(tokens) FILTER (NOT reused) AS BIGINT) AS tokens, sum(device_seconds) FILTER (NOT reused) AS device_seconds,
        sum(seconds) FILTER (NOT reused) AS seconds, sum(seconds) AS worth
    FROM costs GROUP BY ALL)
SELECT campaign, round, attempt, stage, tokens, round(device_seconds, 2) AS device_seconds, round(seconds, 2) AS seconds,
    round(1 - seconds / nullif(worth, 0), 4) AS reused_share
FROM spent ORDER BY campaign, round, attempt, stage
"""

_DECISIONS = """
SELECT DISTINCT campaign, round, attempt, stage, s.key AS key, value
FROM state AS s JOIN stages ON artifact = digest WHERE verb = 'control' ORDER BY ALL
"""

NAMED = {
    "funnel": Question(
        "How many completions were sampled, correct, kept as examples (earlier rounds' too, where a stage accumulates), "
        "and how many examples the trainer learned, replayed ones among them?",
        _FUNNEL,
    ),
    "drop_reasons": Question("What did each filter drop, and why?", _DROP_REASONS),
    "pass_rates": Question("What share of the training completions was correct, and of the problems solved at least once?", _PASS_RATES),
    "champions": Question("Which model is each campaign's champion, and since when?", _CHAMPIONS),
    "costs": Question(
        "What did each stage cost its round in tokens, device-seconds and seconds, and what share of its seconds was reused?", _COSTS
    ),
    "decisions": Question("What did each controller decide in each round (`set.PATH` is a setting of its phase), and by what?", _DECISIONS),
    "curves": Question("How did each metric move over the rounds?", _CURVES),
}
"""Name → question."""
