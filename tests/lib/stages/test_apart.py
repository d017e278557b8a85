"""A completion that breaks its verifier: it alone stays undecided, and a verifier that is broken is refused."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pyarrow as pa
import pytest

from lib import records
from lib.errors import StageFailed, UserError
from lib.protocols import Tables
from lib.stages.apart import MOST, judged_apart
from lib.verifiers.verdicts import Judgement, verdicts_of
from tests.filter_stage import completion


def tables(count: int) -> Tables:
    rows = [completion(f"c{i:03d}", f"p{i // 2:03d}", text=str(i), group_id=f"g{i // 2}") for i in range(count)]
    return Tables(records.PROBLEMS.empty(), records.COMPLETIONS.table(rows))


def raising_at(*bad: int, error: Callable[[], Exception] = lambda: KeyError("no such figure"), unit: str = "completion"):
    """A verifier that breaks at some completions, and how it judges a part."""
    verifier = SimpleNamespace(name="picky", unit=unit, owes=lambda given: given.completions.num_rows)

    def judge(part: Tables) -> pa.Table:
        texts = part.completions["text"].to_pylist()
        if any(int(text) in bad for text in texts):
            raise error()
        return verdicts_of(part.completions, "picky", [Judgement("correct", "fine")] * len(texts))

    return verifier, judge


def outcomes(verdicts: pa.Table) -> dict[str, str]:
    return dict(zip(verdicts["completion_id"].to_pylist(), verdicts["outcome"].to_pylist(), strict=True))


@pytest.mark.parametrize("bad", [(0,), (99,), (3, 4, 57), tuple(range(10, 10 + MOST))])
def test_what_breaks_the_verifier_is_undecided_and_the_others_are_judged(bad: tuple[int, ...]):
    verdicts = judged_apart(*raising_at(*bad)[:1], tables(100), raising_at(*bad)[1], again=False)
    found = outcomes(verdicts)
    assert len(found) == verdicts.num_rows == 100
    assert {name for name, outcome in found.items() if outcome == "undecided"} == {f"c{i:03d}" for i in bad}
    assert "wrong" not in found.values()
    reasons = {row["reason"] for row in verdicts.to_pylist() if row["outcome"] == "undecided"}
    assert reasons == {"the verifier raised KeyError: 'no such figure'"}


def test_a_group_stays_together():
    verifier, judge = raising_at(5, unit="group")
    found = outcomes(judged_apart(verifier, tables(20), judge, again=False))
    assert {name for name, outcome in found.items() if outcome == "undecided"} == {"c004", "c005"}


def test_a_verifier_that_breaks_at_much_is_refused_with_the_first_completion_named():
    verifier, judge = raising_at(*range(7, 7 + MOST + 1))
    with pytest.raises(StageFailed, match=rf"breaks at completion c007, and at {MOST} more \(KeyError: 'no such figure'\); mend the"):
        judged_apart(verifier, tables(100), judge, again=False)


def test_a_verifier_that_breaks_at_everything_is_refused_but_for_its_second_try():
    verifier, judge = raising_at(0, 1)
    with pytest.raises(StageFailed, match="breaks at completion c000, and at 1 more"):
        judged_apart(verifier, tables(2), judge, again=False)
    assert set(outcomes(judged_apart(verifier, tables(2), judge, again=True)).values()) == {"undecided"}


@pytest.mark.parametrize("error", [UserError("no bubblewrap"), MemoryError(), ModuleNotFoundError("sympy"), OSError(28, "full")])
def test_what_is_no_fault_of_a_row_is_raised_as_it_is(error: Exception):
    verifier, judge = raising_at(3, error=lambda: error)
    with pytest.raises(type(error)):
        judged_apart(verifier, tables(10), judge, again=False)


def test_a_verifier_that_owes_another_number_of_verdicts_is_refused_by_the_row():
    verifier, judge = raising_at(3)
    verifier.owes = lambda given: 2 * given.completions.num_rows
    with pytest.raises(StageFailed, match="breaks at completion c003"):
        judged_apart(verifier, tables(10), judge, again=False)


def test_addresses_in_a_message_are_left_out_so_that_verdicts_are_the_same_again():
    verifier, judge = raising_at(3, error=lambda: ValueError(f"bad {object()}\nsecond line"))
    reasons = [row["reason"] for row in judged_apart(verifier, tables(10), judge, again=False).to_pylist()]
    assert reasons[3] == "the verifier raised ValueError: bad <object object at 0x…> second line"
