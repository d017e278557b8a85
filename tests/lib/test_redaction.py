import pyarrow.parquet as pq

from lib import forgetting, records, tables
from lib.forgotten import Forgotten
from lib.redaction import Redaction
from tests.filter_stage import completion
from tests.small_home import build, completion_id, train_some


def test_one_that_wrote_nothing_loses_its_tokens_too(tmp_path):
    """A completion may be all special tokens: its text is empty, and its ids are not."""
    rows = [completion("silent", text="", completion_ids=[1]), completion("other")]
    path = tmp_path / "completions.parquet"
    tables.write(records.COMPLETIONS.table(rows), records.COMPLETIONS, path)
    gone = Redaction.of([Forgotten("completion", "silent", "2026-01-01T00:00:00+00:00", blanked=("silent",))])
    assert gone.in_place(tmp_path)
    after = {row["completion_id"]: row for row in pq.read_table(path).to_pylist()}
    assert [(row["completion_ids"], row["finish_reason"]) for row in (after["silent"], after["other"])] == [([], "error"), ([7, 8], "stop")]
    assert not gone.in_place(tmp_path)


def test_a_model_that_was_given_it_and_evicted_it_had_not_learned_it(home):
    small = build(home)
    name, stayed = (completion_id(small.first, n, 0) for n in (1, 2))
    made = train_some(small, "some", small.base, [small.examples[2]], 4, [(0, name)]).digest
    assert forgetting.forget(home, "completion", name).learned == {small.second: "directly"}
    assert small.store.now(made) == made
    assert forgetting.forget(home, "completion", stayed).learned == {small.second: "directly", made: "directly"}
