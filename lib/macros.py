"""The names beside the given tables that a filter's SQL may use, as DuckDB macros; lib.db says what each one is.

Null characters become spaces in `plain` and `words`, since DuckDB's nfc_normalize ends a text at the first of them.
"""

from __future__ import annotations

from lib.records import IGNORED

SCHEMA = rf"""
CREATE TABLE dropped (completion_id VARCHAR, filter VARCHAR, reason VARCHAR);
CREATE VIEW completions AS SELECT * FROM all_completions ANTI JOIN dropped USING (completion_id);
CREATE MACRO sequence(prompt, completion) AS list_concat(prompt, completion);
CREATE MACRO labels(prompt, completion, mask) AS list_concat(
    list_transform(prompt, lambda token: {IGNORED}),
    CASE WHEN mask IS NULL THEN completion
         ELSE list_transform(completion, lambda token, i: CASE WHEN mask[i] = 0 THEN {IGNORED} ELSE token END) END);
CREATE MACRO said(named) AS TABLE
    WITH told AS (
        SELECT completion_id, bool_or(outcome = 'undecided') AS undecided, bool_and(outcome = 'correct') AS correct,
            list(coalesce(score, CASE WHEN outcome = 'correct' THEN 1.0 ELSE 0.0 END) ORDER BY verifier, score) AS scores
        FROM verdicts
        WHERE step IS NULL AND rival_id IS NULL
            AND CASE WHEN named IS NULL THEN outcome IS NOT NULL ELSE verifier = named AND (outcome IS NOT NULL OR score IS NOT NULL) END
        GROUP BY completion_id)
    SELECT completion_id,
        CASE WHEN undecided THEN 'undecided' WHEN correct THEN 'correct' WHEN NOT correct THEN 'wrong' ELSE 'scored' END AS outcome,
        list_sum(scores) / len(scores) AS score
    FROM told;
CREATE MACRO judged(named) AS TABLE
    SELECT c.completion_id, coalesce(outcome, 'no verdict') AS outcome, score
    FROM (SELECT completion_id FROM completions) AS c LEFT JOIN said(named) USING (completion_id);
CREATE MACRO pass_rates(named) AS TABLE
    WITH told AS (
        SELECT problem_id, list(CASE outcome WHEN 'correct' THEN 1.0 WHEN 'wrong' THEN 0.0 ELSE score END ORDER BY completion_id) AS each
        FROM (SELECT completion_id, problem_id FROM all_completions) JOIN said(named) USING (completion_id)
        WHERE outcome <> 'undecided' GROUP BY problem_id)
    SELECT problem_id, len(each) AS decided, list_sum(each) / len(each) AS pass_rate FROM told;
CREATE MACRO plain(written) AS trim(regexp_replace(regexp_replace(regexp_replace(
    nfc_normalize(replace(lower(written), chr(0), ' ')), '\p{{Cf}}+', '', 'g'), '([^\p{{L}}\p{{M}}\p{{N}}\p{{Z}}\p{{Cc}}_])', ' \1 ', 'g'),
    '[\p{{Z}}\p{{Cc}}]+', ' ', 'g'));
CREATE MACRO words(written) AS list_filter(string_split_regex(regexp_replace(
    nfc_normalize(replace(lower(written), chr(0), ' ')), '[^\p{{L}}\p{{M}}\p{{N}}\p{{Z}}\p{{Cc}}_]+', '', 'g'),
    '[\p{{Z}}\p{{Cc}}]+'), lambda word: word <> '');
"""
