"""Known items for a guard to find: copies and near copies of held-out problems, and what excuses missing a near copy.

A copy has other white space and other capitals. A near copy has a run of exactly n words of the held-out problem, those that
the fewest other problems have, between words of its own. It may be missed only if the guard's own rule takes all that the
two share for an instruction, which is worked out here a second time, in plain Python, and only for what was missed. What
Unicode 3.2 did not know is not planted: two tables of characters need not agree about it.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CAPITALS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""ASCII alone: other letters do not all find back from capitals."""

BEFORE, AFTER = "Planted in front of it,", "and planted behind."


@dataclass(frozen=True, slots=True)
class Plant:
    """A text to be found, and under which reason."""

    name: str
    text: str
    reason: str


def plants(held: Sequence[tuple[str, str]], runs: Sequence[int]) -> list[Plant]:
    """For each held-out (id, text) a copy, and for each length of run that it is long enough for, a near copy."""
    common = Counter(word for _, text in held for word in set(text.lower().split()))
    made = []
    for problem_id, text in held:
        if not any(_shows(char) for char in text):
            continue
        copied = "\n " + text.translate(_CAPITALS).replace(" ", "  ") + " "
        made.append(Plant(f"planted copy of {problem_id}", copied, "same problem"))
        for n in runs:
            if window := _rarest(text.split(), n, common):
                near = f"{BEFORE} {window.translate(_CAPITALS)} {AFTER}"
                made.append(Plant(f"planted {n}-gram of {problem_id}", near, f"{n}-gram"))
    return made


def _rarest(tokens: list[str], n: int, common: Counter[str]) -> str | None:
    """The n consecutive tokens, of those that hold a word, that are the least common together; the first of equals."""
    wordy = [token for token in tokens if any(_is_wordy(char) for char in token)]
    weights = [common[token.lower()] for token in wordy]
    first = min(range(len(wordy) - n + 1), key=lambda i: sum(weights[i : i + n]), default=None)
    window = None if first is None else " ".join(wordy[first : first + n])
    return window if window and all(unicodedata.ucd_3_2_0.category(char) != "Cn" for char in window) else None


def _shows(char: str) -> bool:
    """Whether a text of this character alone can be compared."""
    return unicodedata.ucd_3_2_0.category(char)[0] in "LMNPS" and char not in ".:?"


def _is_wordy(char: str) -> bool:
    return char == "_" or unicodedata.category(char)[0] in "LMN"


@dataclass(frozen=True, slots=True)
class Instructions:
    """When words that held-out problems share are an instruction and not a match; lib.filters.decontaminate has the rule."""

    length: int
    """Words of a run that can be an instruction by its share."""
    after: int
    """More held-out problems than this."""
    share: float
    """And more than this share of them."""

    def common(self, count: int, total: int) -> bool:
        return count > max(self.after, self.share * total) or (count >= 3 and 2 * count > total)


def excused(plant: Plant, n: int, held: Sequence[str], rule: Instructions) -> bool:
    """Whether every run of n words that the plant shares with held-out texts is an instruction by the rule."""
    texts = [_words(text) for text in held]
    counts = Counter(run for words in texts for run in set(_runs(words, rule.length)))
    taken = {run for run, count in counts.items() if rule.common(count, len(texts))}
    shared = Counter(run for words in texts for run in set(_runs(_without(words, taken, rule.length), n)))
    mine = set(_runs(_without(_words(plant.text), taken, rule.length), n))
    return all(shared[run] == 0 or shared[run] > rule.after or rule.common(shared[run], len(texts)) for run in mine)


def _words(text: str) -> list[str]:
    """As lib.db's macro `words`: small letters, punctuation taken out, cut at white space and control characters."""
    separated = "".join(" " if unicodedata.category(c) == "Cc" or unicodedata.category(c)[0] == "Z" else c for c in text.lower())
    kept = "".join(char for char in unicodedata.normalize("NFC", separated) if char == " " or _is_wordy(char))
    return kept.split()


def _runs(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _without(words: list[str], taken: set[tuple[str, ...]], length: int) -> list[str]:
    """The words outside every run that is an instruction."""
    starts = [i for i, run in enumerate(_runs(words, length)) if run in taken]
    covered = {i for start in starts for i in range(start, start + length)}
    return [word for i, word in enumerate(words) if i not in covered]
