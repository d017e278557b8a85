"""How far verifiers agree, as flat counts that may be added over shards, and the shares that follow from the sums.

    judged/A, undecided/A             whole completions to which A gave an outcome, and those that it left undecided
    agreement/A/B/correct/wrong       of which A said correct and B said wrong
    gold/A/B/both, /said, /true       with A as the truth, where A is decided: both say correct, B does, A does

The shares are `undecided_share/A`, `agreed_share/A/B` (the same decided outcome), `precision/B` = both / said and
`recall/B` = both / true (lib.agreement has their intervals for tables).
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from lib import agreement
from lib.agreement import Confusion

KINDS = ("judged", "undecided", "agreement", "gold")
"""What the names of counts begin with."""


def counts(verdicts: pa.Table, gold: str = "") -> dict[str, int]:
    """The counts over one table; none where fewer than two verifiers give outcomes."""
    said = agreement.outcomes(verdicts)
    if len(said) < 2:
        return {}
    found: dict[str, int] = {}
    for verifier, outcomes in said.items():
        found |= {f"judged/{_flat(verifier)}": outcomes.total(), f"undecided/{_flat(verifier)}": outcomes["undecided"]}
    for matrix in agreement.pairwise(verdicts):
        place = f"agreement/{_flat(matrix.first)}/{_flat(matrix.second)}"
        found |= {f"{place}/{a}/{b}": matrix.counts.get((a, b), 0) for a in agreement.OUTCOMES for b in agreement.OUTCOMES}
    for verifier in said if gold in said else ():
        if verifier != gold:
            found |= _quality(agreement.confusion(verdicts, gold, verifier))
    return found


def is_count(name: str) -> bool:
    """Whether a figure of this name is one of these counts."""
    return name.partition("/")[0] in KINDS and "/" in name


def shares(summed: Mapping[str, float]) -> dict[str, float]:
    """The shares that follow from sums of counts; one of nothing is left out."""
    found: dict[str, float] = {}
    for name, value in summed.items():
        kind, _, rest = name.partition("/")
        if kind == "judged":
            found |= _share(f"undecided_share/{rest}", summed.get(f"undecided/{rest}", 0), value)
        elif kind == "gold" and rest.endswith("/both"):
            place, judge = name.removesuffix("/both"), rest.split("/")[1]
            found |= _share(f"precision/{judge}", value, summed[f"{place}/said"])
            found |= _share(f"recall/{judge}", value, summed[f"{place}/true"])
        elif kind == "agreement" and rest.endswith("/correct/correct"):
            pair = rest.removesuffix("/correct/correct")
            whole = sum(summed[f"agreement/{pair}/{a}/{b}"] for a in agreement.OUTCOMES for b in agreement.OUTCOMES)
            found |= _share(f"agreed_share/{pair}", value + summed[f"agreement/{pair}/wrong/wrong"], whole)
    return found


def _quality(matrix: Confusion) -> dict[str, int]:
    precision, recall = matrix.quality
    place = f"gold/{_flat(matrix.first)}/{_flat(matrix.second)}"
    return {f"{place}/both": precision.found, f"{place}/said": precision.of, f"{place}/true": recall.of}


def _share(name: str, part: float, whole: float) -> dict[str, float]:
    return {name: part / whole} if whole else {}


def _flat(verifier: str) -> str:
    """A verifier's name as a part of another: a slash would cut it."""
    return verifier.replace("/", "_")
