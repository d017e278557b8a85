"""Near duplicates in a big table, by MinHash with banding (Broder 1997; Leskovec et al., "Mining of Massive Datasets", 3.4).

A text's shingles are its runs of n words (all its words where it has fewer). Under a random hash, two texts have the same
smallest shingle with probability J, the Jaccard likeness of their shingles. 64 such hashes make 16 bands of 4; texts that
agree in a whole band are candidates, which a pair becomes with probability 1 - (1 - J^4)^16: 0.99 at J = 0.7, 0.64 at 0.5.
A candidate's likeness to the first text of its band is then counted exactly, so nothing is dropped by a chance collision.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

BANDS, DEEP = 16, 4

MOST_WORDS = 2_000
"""Words of a text that are compared; the rest is not looked at."""

_random = np.random.default_rng(0x3141)
_FACTORS = _random.integers(0, 2**63, BANDS * DEEP, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _random.integers(0, 2**63, BANDS * DEEP, dtype=np.uint64)
_MIX = _random.integers(0, 2**63, DEEP, dtype=np.uint64) * np.uint64(2) + np.uint64(1)

_SHINGLES = """list_distinct(list_transform(range(1, greatest(len(words) - $n + 1, 1) + 1), lambda i: hash(words[i : i + $n - 1])))"""


class MinhashDedup(Strategy):
    """Drops a completion that shares enough n-grams with one of a lower completion_id: `near duplicate`.

    Likeness is to an earlier completion whether that one stays or not, so of a chain of small changes only the first may
    stay. Misses a few pairs (above), whatever is past the first 2,000 words, and paraphrases. Memory is flat.
    """

    threshold: float = Field(0.7, ge=0.5, le=1)
    """A Jaccard likeness of this or more is a duplicate."""
    n: int = Field(3, ge=1)
    """Words of a shingle."""

    def filter(self, rows: Rows) -> Relation:
        rows.hold_made("_bands", f"SELECT completion_id, words(text)[:{MOST_WORDS}] AS words FROM completions", self._bands)
        rows.hold(
            "_pairs",
            """
            SELECT DISTINCT first, completion_id FROM _bands
            JOIN (SELECT band, key, min(completion_id) AS first FROM _bands GROUP BY band, key HAVING count(*) > 1) USING (band, key)
            WHERE completion_id <> first
            """,
        )
        rows.hold(
            "_shingles",
            f"""
            SELECT completion_id, {_SHINGLES} AS shingles
            FROM (SELECT completion_id, words(text)[:{MOST_WORDS}] AS words FROM completions
                  SEMI JOIN (SELECT completion_id FROM _pairs UNION SELECT first FROM _pairs) USING (completion_id))
            """,
            n=self.n,
        )
        rows.hold(
            "_near",
            """
            SELECT DISTINCT completion_id FROM (
                SELECT b.completion_id, len(list_intersect(a.shingles, b.shingles)) AS shared, len(a.shingles) + len(b.shingles) AS summed
                FROM _pairs JOIN _shingles AS a ON a.completion_id = first JOIN _shingles AS b ON b.completion_id = _pairs.completion_id)
            WHERE shared >= $threshold * (summed - shared)
            """,
            threshold=self.threshold,
        )
        return rows.sql(
            """
            SELECT completion_id, CASE WHEN completion_id IN (SELECT completion_id FROM _near) THEN 'near duplicate' END AS reason
            FROM completions
            """
        )

    def _bands(self, batch: pa.RecordBatch) -> pa.Table:
        """completion_id, band and the key of the text in that band, for each text and band."""
        ids, texts = batch.columns
        keys = np.array([self._keys(words) for words in texts.to_pylist()], np.uint64).reshape(-1)  # (rows * BANDS,)
        bands = np.tile(np.arange(BANDS, dtype=np.int8), len(ids))
        repeated = ids.take(pa.array(np.repeat(np.arange(len(ids)), BANDS)))
        return pa.table({"completion_id": repeated, "band": bands, "key": keys})

    def _keys(self, words: list[str]) -> NDArray[np.uint64]:
        runs = (" ".join(words[i : i + self.n]) for i in range(max(1, len(words) - self.n + 1)))
        shingles = np.array([zlib.crc32(run.encode()) for run in runs], np.uint64)  # (S,)
        hashes = (shingles[:, None] * _FACTORS + _OFFSETS) >> np.uint64(32)  # (S, BANDS * DEEP), multiply-shift
        smallest = hashes.min(0).reshape(BANDS, DEEP)
        keys: NDArray[np.uint64] = (smallest * _MIX).sum(1)
        return keys
