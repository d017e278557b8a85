r"""Keep held-out problems out of training: the same problem, or a run of words in common with one.

Compared is what the user says in the prompt, never what a model answers. Two prompts are the same problem if they have the
same id, or the same text up to case, Unicode form, white space (also around punctuation) and the last full stop, colon
or question mark; so short prompts, such as `1,5,8>45:`, are compared whole. Longer ones must not share n words in a row
either, punctuation taken out, "1,000" being one word: n = 13 is the length of Brown et al. 2020 (GPT-3, appendix C), n = 8 that
of Chowdhery et al. 2022 (PaLM, section 8), who ask for 70 % of the runs where one is enough here.

What held-out problems share among themselves is an instruction and not leakage, and must not drop the whole training set;
this is our own answer to that. Words in a run of 4 that more than a tenth of them share (and more than `instruction_after`
of them; or more than half of three or more) are taken out on both sides first, and of what is left, a run that more than
`instruction_after` share, or more than half, does not count.

Every run of this filter proves itself: copies and near copies of held-out problems (lib.filters.planting) go through the
same queries as the training problems, and one that is not found stops the stage with `Unproven`. So do held-out problems
without any user text.

Does not catch paraphrases, translations, near copies of prompts shorter than the shortest run, or held-out problems that
stand in the text of a completion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pydantic import Field

from lib.errors import Unproven
from lib.filters.planting import Instructions, Plant, excused, plants
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

PLANTED_FROM = 32
"""Held-out problems, drawn by the seed, of which copies are planted."""

_ASKED = """
SELECT problem_id, array_to_string(list_transform(list_filter(prompt, lambda message: message.role = 'user'),
    lambda message: array_to_string(list_transform(message.parts,
        lambda part: coalesce(part.text, '') || coalesce(part.sha256, '')), '')), ' ') AS asked
FROM {table}
"""

# Words as their hashes (64 bits), which are smaller; an empty list for a prompt that is compared whole.
_READ = r"""
SELECT problem_id, md5(text) AS text, text = '' AS empty,
    CASE WHEN len(words) >= $shortest THEN list_transform(words, lambda word: hash(word)) ELSE [] END AS words
FROM (SELECT problem_id, regexp_replace(plain(asked), '[ .:?]+$', '') AS text, words(asked) AS words FROM ({asked}))
"""

# Row by row, words that stand in no instruction: word i is in the runs that start at i - 3 to i.
_WITHOUT = """
SELECT problem_id, text, empty, list_filter(words, lambda word, i: NOT ({covered})) AS words
FROM (SELECT {table}.*, list_transform({runs}, lambda run: list_contains(instructions, run)) AS taken
      FROM {table}, (SELECT list(run ORDER BY run) AS instructions FROM guard_instructions))
"""


class Decontaminate(Strategy):
    """Drops the completions of problems that occur in a held-out split.

    Reasons: `held out: same problem`, `held out: 13-gram`, `held out: 8-gram` (the first that fits), and `unknown problem`
    for a completion whose problem was not given, since it cannot be compared. The stage's notes count the held-out
    problems, those of them met under each reason, and the items planted and found.
    """

    runs: tuple[int, ...] = Field((13, 8), min_length=1)
    """Lengths of the runs of words, the longest first; a prompt with fewer words than the shortest is compared whole."""
    instruction_after: int = Field(10, ge=1)
    """Words shared by more held-out problems than this can be an instruction and not a match."""

    def filter(self, rows: Rows) -> Relation:
        held = rows.count("SELECT count(*) FROM held_out")
        if not held:
            return rows.sql("SELECT completion_id, NULL::VARCHAR AS reason FROM completions")
        planted = self._plant(rows)
        self._read(rows, held)
        self._match(rows)
        missed = self._missed(rows, planted)
        rows.notes |= {"held_out": held, "planted": len(planted), "planted_found": len(planted) - missed, **self._met(rows)}
        return rows.sql(
            """
            SELECT completion_id, CASE WHEN known.problem_id IS NULL THEN 'unknown problem' ELSE 'held out: ' || reason END AS reason
            FROM (SELECT completion_id, problem_id FROM completions)
            LEFT JOIN (SELECT problem_id FROM problems) AS known USING (problem_id)
            LEFT JOIN (SELECT problem_id, arg_min(reason, place) AS reason FROM guard_leaks GROUP BY problem_id) USING (problem_id)
            """
        )

    def _rule(self) -> Instructions:
        return Instructions(length=4, after=self.instruction_after, share=0.1)

    def _plant(self, rows: Rows) -> list[Plant]:
        asked = _ASKED.format(table="held_out")
        drawn = f"SELECT * FROM ({asked}) WHERE trim(asked) <> '' ORDER BY draw(problem_id), problem_id LIMIT {PLANTED_FROM}"
        made = plants(rows.sql(drawn).fetchall(), self.runs)
        if not made:
            raise Unproven(
                "Decontaminate found no user text in any held-out problem to plant a copy of; leave it out with decontaminate=null"
            )
        table = pa.table({"problem_id": [plant.name for plant in made], "asked": [plant.text for plant in made]})
        rows.hold_table("guard_planted", table)
        return made

    def _read(self, rows: Rows, held: int) -> None:
        """The texts of both sides as guard_held and guard_given, without instructions."""
        rule, shortest = self._rule(), min(self.runs)
        given = f"{_ASKED.format(table='problems')} UNION ALL SELECT problem_id, asked FROM guard_planted"
        rows.hold("guard_held", _READ.format(asked=_ASKED.format(table="held_out")), shortest=shortest)
        rows.hold("guard_given", _READ.format(asked=given), shortest=shortest)
        rows.hold(
            "guard_instructions",
            f"SELECT run FROM ({_runs_of('guard_held', rule.length)}) GROUP BY run HAVING {_COMMON}",
            most=max(rule.after, rule.share * held),
            held=held,
        )
        if rows.count("SELECT count(*) FROM guard_instructions"):
            # a list's place 0 is NULL, and those below count from its end
            covered = " OR ".join(f"(i > {back} AND coalesce(taken[i - {back}], false))" for back in range(rule.length))
            for table in ("guard_held", "guard_given"):
                rows.hold(table, _WITHOUT.format(covered=covered, runs=_runs(rule.length), table=table))

    def _match(self, rows: Rows) -> None:
        """guard_leaks: problem_id, reason and its place, of training problems and plants."""
        same = """
            SELECT problem_id, 'same problem' AS reason, 0 AS place FROM guard_given SEMI JOIN guard_held USING (problem_id)
            UNION SELECT problem_id, 'same problem', 0 FROM guard_given WHERE NOT empty AND text IN (SELECT text FROM guard_held)
        """
        rows.hold("guard_leaks", same)
        for place, n in enumerate(sorted(self.runs, reverse=True), start=1):
            telling = f"SELECT run FROM ({_runs_of('guard_held', n)}) GROUP BY run HAVING NOT ({_COMMON})"
            held = "SELECT count(*) FROM guard_held"
            rows.hold("guard_telling", telling, most=self.instruction_after, held=rows.count(held))
            rows.hold(
                f"guard_shared_{n}",
                f"SELECT DISTINCT problem_id, run FROM ({_runs_of('guard_given', n)}) SEMI JOIN guard_telling USING (run)",
            )
            found = f"SELECT DISTINCT problem_id, '{n}-gram', {place} FROM guard_shared_{n}"
            rows.hold("guard_leaks", f"SELECT * FROM guard_leaks UNION ALL {found}")

    def _missed(self, rows: Rows, planted: list[Plant]) -> int:
        """How many plants were missed with good reason. Raises Unproven for one that was missed without."""
        found = set(rows.sql("SELECT problem_id, reason FROM guard_leaks SEMI JOIN guard_planted USING (problem_id)").fetchall())
        missed = [plant for plant in planted if (plant.name, plant.reason) not in found]
        held = [str(row[0]) for row in rows.sql(f"SELECT asked FROM ({_ASKED.format(table='held_out')})").fetchall()] if missed else []
        for plant in missed:
            n = plant.reason.removesuffix("-gram")
            if not n.isdigit() or not excused(plant, int(n), held, self._rule()):
                raise Unproven(f"Decontaminate missed the {plant.name}, of {len(planted)} planted items; nothing it passed can be trusted")
        return len(missed)

    def _met(self, rows: Rows) -> dict[str, int]:
        """For each reason, how many held-out problems the training problems met for it."""
        real = "SELECT {columns} FROM {table} ANTI JOIN guard_planted USING (problem_id)"
        given = real.format(columns="*", table="guard_given")
        same = f"NOT empty AND text IN (SELECT text FROM ({given})) OR problem_id IN (SELECT problem_id FROM problems)"
        met = {"same problem": f"guard_held WHERE {same}"}
        for n in self.runs:
            shared = real.format(columns="run", table=f"guard_shared_{n}")
            met[f"{n}-gram"] = f"({_runs_of('guard_held', n)}) SEMI JOIN ({shared}) USING (run)"
        return {f"held_out_met/{reason}": rows.count(f"SELECT count(DISTINCT problem_id) FROM {query}") for reason, query in met.items()}


_COMMON = "count(*) > $most OR (count(*) >= 3 AND 2 * count(*) > $held)"
"""lib.filters.planting.Instructions.common, in SQL."""


def _runs(n: int) -> str:
    """The hashes (64 bits) of a row's runs of n words; spelt out, which is four times as fast as hashing slices."""
    each = ", ".join(f"words[i + {place}]" for place in range(n))
    return f"list_transform(range(1, len(words) - {n} + 2), lambda i: hash({each}))"


def _runs_of(table: str, n: int) -> str:
    return f"SELECT DISTINCT problem_id, unnest({_runs(n)}) AS run FROM {table} WHERE len(words) >= {n}"
