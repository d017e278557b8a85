import pyarrow.parquet as pq
import pytest

from lib import export_examples
from lib.campaign import CampaignFolder
from lib.errors import UnknownName, UserError
from lib.home import Home
from tests.small_home import build, completion_id, example_id, note, train, train_some


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return build(Home(tmp_path_factory.mktemp("home")))


def test_datasets_reads_what_was_learned(small, tmp_path):
    import datasets

    told = export_examples.write(small.home, "demo", tmp_path / "out")
    assert told["rows"] == {"sft": 3 + 5 + 4} and told["artifacts"] == sorted(small.examples.values())
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert len(found) == 12
    name = completion_id(small.base, 1, 0)
    rows = [row for row in found if row["example_id"] == example_id(name)]
    assert [row["round"] for row in rows] == [1, 2]
    assert rows[0]["input_ids"] == [1, 2, 7, 8] and rows[0]["artifact"] == small.examples[1]
    assert rows[0]["sources"] == [{"part": "whole", "completion_id": name, "text": f"text of {name}"}]


def test_the_card_names_the_digests(small, tmp_path):
    export_examples.write(small.home, "demo:1", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n- config_name: sft\n")
    assert small.examples[1] in card and small.first in card and small.examples[2] not in card


def test_examples_that_two_models_of_a_round_learned_are_counted_once(small, home, tmp_path):
    own = small.copy(home)
    other = train(own, "value", own.first, own.examples[2])
    record = CampaignFolder(home, "demo").record(2)
    note(record, "value/train", "train", [other], "model")
    CampaignFolder(home, "demo").write_round(record)
    told = export_examples.write(home, "demo:2", tmp_path / "out")
    assert told["rows"] == {"sft": 5}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "5 rows" in card and own.second in card and other.digest in card


def after_round_two(small, home, *evicted):
    """A copy of the home whose round 2 was given both rounds' examples, once for each set of what was evicted; its models."""
    own = small.copy(home)
    given = [own.examples[1], own.examples[2]]
    models = [train_some(own, f"some {n}", own.first, given, 8 - len(gone), gone) for n, gone in enumerate(evicted)]
    record = CampaignFolder(home, "demo").record(2)
    for n, made in enumerate(models):
        note(record, f"main/train {n}" if n else "main/train", "train", [made], "model")
    CampaignFolder(home, "demo").write_round(record)
    return models


def exported(folder):
    return {path.name: pq.read_table(path)["example_id"].to_pylist() for path in sorted(folder.glob("sft/*.parquet"))}


def test_what_was_given_and_evicted_is_not_exported(small, home, tmp_path):
    """Of the 3 + 5 examples the 3 of round 1 and one of round 2's go; those 3 are learned all the same, for round 2 has them too."""
    mine = completion_id(small.first, 1, 0)
    (made,) = after_round_two(small, home, [*((0, completion_id(small.base, n, 0)) for n in range(3)), (1, mine)])
    told = export_examples.write(home, "demo:2", tmp_path / "out")
    assert (told["rows"], told["artifacts"]) == ({"sft": 4}, [small.examples[2]])
    ((name, ids),) = exported(tmp_path / "out").items()
    assert name == f"0002-1-{small.examples[2][:12]}.parquet"
    learned = [completion_id(small.base, n, 0) for n in range(3)] + [completion_id(small.first, 2, 0)]
    assert ids == sorted(map(example_id, learned))
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| 2 | 1 | `{made.digest}` | sft | 4 | `{small.examples[2]}` |" in card and small.examples[1] not in card


def test_what_one_of_two_learners_evicted_and_the_other_did_not_stands_once(small, home, tmp_path):
    first, second = completion_id(small.first, 1, 0), completion_id(small.first, 2, 0)
    models = after_round_two(small, home, [(1, first)], [(1, first), (1, second)])
    told = export_examples.write(home, "demo:2", tmp_path / "out")
    assert told["rows"] == {"sft": 3 + 4}
    assert example_id(first) not in exported(tmp_path / "out")[f"0002-1-{small.examples[2][:12]}.parquet"]
    card = (tmp_path / "out" / "README.md").read_text()
    for made, rows in zip(models, (4, 3), strict=True):
        assert f"| 2 | 1 | `{made.digest}` | sft | {rows} | `{small.examples[2]}` |" in card


def test_what_is_not_there_is_refused_and_leaves_nothing(small, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'demo'"):
        export_examples.write(small.home, "dmo", tmp_path / "out")
    with pytest.raises(UnknownName, match=r"no round '7'.*\(have: 0, 1, 2\)"):
        export_examples.write(small.home, "demo:7", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(UserError, match="out is not empty"):
        export_examples.write(small.home, "demo", tmp_path / "out")
