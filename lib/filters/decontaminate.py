"""Keep held-out problems out of training: exact matches, and shared runs of words for longer texts.

13 words is the length of Brown et al. 2020 (GPT-3, appendix C). What many held-out problems share among themselves is an
instruction, not leakage, and must not drop the whole training set: `template_after` is our own answer to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

# One text per prompt: its user turns, media by their digest, in small letters with single spaces.
_TEXT = r"""
SELECT problem_id, trim(regexp_replace(lower(array_to_string(list_transform(
    list_filter(prompt, lambda message: message.role = 'user'),
    lambda message: array_to_string(list_transform(message.parts,
        lambda part: coalesce(part.text, '') || coalesce(part.sha256, '')), '')), ' ')), '\s+', ' ', 'g')) AS text
FROM {table}
"""

# List slices include both ends, so [i : i + n - 1] is n words.
_RUNS = r"""
SELECT DISTINCT problem_id, unnest(list_transform(range(1, len(words) - $n + 2),
    lambda i: md5(array_to_string(words[i : i + $n - 1], ' ')))) AS run
FROM (SELECT problem_id, regexp_extract_all(text, '[\p{{L}}\p{{N}}]+') AS words FROM {table}_text)
WHERE len(words) >= $n
"""


class Decontaminate(Strategy):
    """Drops the completions of problems that occur in a held-out split.

    Reasons: `held out: same problem` (same id, or the same user text up to case and white space) and
    `held out: 13-gram` (a run of that many words in common). Does not catch paraphrases or translations.
    """

    words: int = Field(13, ge=2)
    """Length of the run of words; shorter texts are compared whole."""
    template_after: int = Field(10, ge=1)
    """A run that occurs in more held-out problems than this is taken for an instruction and not for a match."""

    def filter(self, rows: Rows) -> Relation:
        for table in ("problems", "held_out"):
            rows.hold(f"{table}_text", _TEXT.format(table=table))
        rows.hold(
            "telling",
            f"SELECT run FROM ({_RUNS.format(table='held_out')}) GROUP BY run HAVING count(*) <= $most",
            n=self.words,
            most=self.template_after,
        )
        rows.hold(
            "known",
            f"SELECT DISTINCT problem_id FROM ({_RUNS.format(table='problems')}) SEMI JOIN telling USING (run)",
            n=self.words,
        )
        rows.hold(
            "same",
            """
            SELECT problem_id FROM held_out
            UNION SELECT problem_id FROM problems_text WHERE text <> '' AND text IN (SELECT text FROM held_out_text)
            """,
        )
        return rows.sql(
            """
            SELECT completion_id, CASE WHEN problem_id IN (SELECT problem_id FROM same) THEN 'held out: same problem'
                WHEN problem_id IN (SELECT problem_id FROM known) THEN 'held out: ' || $n || '-gram' END AS reason
            FROM completions
            """,
            n=self.words,
        )
