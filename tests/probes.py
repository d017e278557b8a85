"""What a probe leaves, in small."""

from lib import records
from lib.protocols import Tables
from tests.filter_stage import completion, problem, verdict

WORDS = {"c": "correct", "w": "wrong", "u": "undecided"}


def probe(**outcomes):
    """Tables in which problem NAME has one completion per letter: c correct, w wrong, u undecided."""
    rows = [(name, i, letter) for name, letters in outcomes.items() for i, letter in enumerate(letters)]
    return Tables(
        records.PROBLEMS.table([problem(name) for name in outcomes]),
        records.COMPLETIONS.table([completion(f"{name}{i}", name, sample_index=i) for name, i, _ in rows]),
        records.VERDICTS.table([verdict(f"{name}{i}", WORDS[letter]) for name, i, letter in rows]),
    )
