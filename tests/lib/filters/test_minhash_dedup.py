import random

from lib.filters.minhash_dedup import MinhashDedup
from lib.filters.resemblance import jaccard, n_grams
from tests.filter_stage import completion, filtered


def texts(n, words, seed=0):
    draw = random.Random(seed)
    return [[f"w{draw.randrange(5000)}" for _ in range(words)] for _ in range(n)]


def rows_of(texts):
    return [completion(f"{i:04}", f"p{i}", text=" ".join(words)) for i, words in enumerate(texts)]


def test_one_changed_word_in_thirty_is_found_and_strangers_stay(tmp_path):
    first = texts(200, 30)
    edited = [[*words[:15], "edited", *words[16:]] for words in first]
    likeness = jaccard(n_grams(first[0], 3), n_grams(edited[0], 3))
    assert 0.8 < likeness < 0.9
    result = filtered(tmp_path, [MinhashDedup()], rows_of(first + edited))
    assert set(result.dropped.values()) == {"near duplicate"}
    assert set(result.dropped) <= {f"{i:04}" for i in range(200, 400)}
    assert len(result.dropped) >= 198  # the chance to miss one at 0.82 is 6e-5


def test_candidates_under_the_threshold_stay(tmp_path):
    first = texts(100, 30)
    edited = [[*words[:8], "edited", *words[9:20], "again", *words[21:]] for words in first]  # 22 of 34 trigrams
    assert filtered(tmp_path / "high", [MinhashDedup(threshold=0.7)], rows_of(first + edited)).dropped == {}
    assert len(filtered(tmp_path / "low", [MinhashDedup(threshold=0.6)], rows_of(first + edited)).dropped) > 80


def test_the_order_of_the_rows_does_not_matter_nor_do_short_and_empty_texts(tmp_path):
    rows = rows_of([["same"], ["same"], [], [], ["other", "words"], *texts(50, 20), *texts(50, 20)])
    one = filtered(tmp_path / "one", [MinhashDedup()], rows).dropped
    assert {"0001", "0003"} <= set(one)
    assert len(one) == 52
    assert filtered(tmp_path / "other", [MinhashDedup()], rows[::-1], parts=3).dropped == one


def test_nothing_given_drops_nothing(tmp_path):
    assert filtered(tmp_path, [MinhashDedup()], []).stats["kept"] == 0
