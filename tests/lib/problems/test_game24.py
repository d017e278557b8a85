import pytest

from lib.errors import BadProblems
from lib.problems.game24 import Game24
from lib.protocols import Verifier
from lib.verifiers.arithmetic import Puzzle, puzzle

HEADER = "Rank,Puzzles,AMT (s),Solved rate,1-sigma Mean (s),1-sigma STD (s)\n"


def source(tmp_path, *rows):
    file = tmp_path / "24.csv"
    file.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return Game24(path=str(file))


def test_a_puzzle_has_its_numbers_its_place_and_its_difficulty(tmp_path):
    [row] = source(tmp_path, "7,1 1 4 6,4.4,99.20%,4.67,1.48").every().to_pylist()
    assert (row["task"], row["source_id"], row["answer"]) == ("game24", "6", None)
    assert row["difficulty"] == pytest.approx(0.008)
    assert puzzle(row["tests"]) == Puzzle((1, 1, 4, 6), 24)
    assert "1 1 4 6" in row["prompt"][0]["parts"][0]["text"]


def test_a_bad_row_is_reported_and_the_others_survive(tmp_path):
    rows = ["1,1 1 4 6,4.4,99.20%,1,1", "2,1 1 4,4.4,99%,1,1", "3,1 1 4 x,4,99%,1,1", "4,1 2 3 4,4,much,1,1", "five,1 2 4 4,4,9%,1,1"]
    pool = source(tmp_path, *rows).pool()
    assert len(pool.rows["all"]) == 1
    assert [(fault.where, fault.field) for fault in pool.faults] == [
        ("24.csv line 3", "Puzzles"),
        ("24.csv line 4", "Puzzles"),
        ("24.csv line 5", "Solved rate"),
        ("24.csv line 6", "Rank"),
    ]
    with pytest.raises(BadProblems, match="no usable problem"):
        source(tmp_path, "1,1 1 4,4.4,99%,1,1").every()


def test_its_verifier_judges_it():
    [verifier] = Game24(path="24.csv").verifiers()
    assert isinstance(verifier, Verifier)


def test_the_published_puzzles_are_all_read(data):
    pool = Game24(path=str(data / "tot_game24" / "24.csv")).pool()
    assert (len(pool.rows["all"]), pool.faults, pool.duplicates) == (1362, (), ())
    difficulties = [row["difficulty"] for row in pool.rows["all"]]
    assert min(difficulties) < 0.01 < 0.5 < max(difficulties) <= 1
