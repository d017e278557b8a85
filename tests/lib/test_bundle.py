import json
import shutil
import subprocess
import sys
import tarfile

import pytest

from lib import bundle, forgetting
from lib.campaign import CampaignFolder
from lib.errors import UnknownName, UserError
from lib.home import Home
from tests.small_home import build, completion_id, note, train_some


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return build(Home(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    """One bundle, with all that a module's tests need of it; they copy it before they alter it."""
    target = tmp_path_factory.mktemp("given") / "demo"
    told = bundle.write(small.home, "demo", target, weights=False)
    return target, told


def verified(folder, *switches):
    """verify.py of a bundle, in a Python that knows nothing but its own library."""
    words = [sys.executable, *(switches or ("-I", "-S")), str(folder / "verify.py")]
    return subprocess.run(words, capture_output=True, text=True, cwd="/")


def test_a_bundle_proves_itself_with_python_alone(small, made):
    folder, told = made
    checked = verified(folder)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"everything matches; seal {told['seal']}" in checked.stdout
    assert f"model {small.first[:12]}, made by demo round 1 attempt 1 main/train" in checked.stdout
    models = [line for line in checked.stdout.splitlines() if line.startswith("model ")]
    assert len(models) == len(set(models))
    assert not list(folder.rglob("*.safetensors"))


def test_with_pyarrow_it_counts_rows(small, made):
    checked = verified(made[0], "-B")
    assert checked.returncode == 0, checked.stdout
    line = next(line for line in checked.stdout.splitlines() if f"examples {small.examples[2][:12]}" in line)
    assert line.strip() == f"examples {small.examples[2][:12]}: 5 examples of 5 completions, 11 dropped, from 16 completions in 4 artifacts"


def test_it_says_how_many_examples_a_model_was_given_and_evicted(small, home, tmp_path):
    own = small.copy(home)
    made = train_some(own, "some", own.first, [own.examples[2]], 4, [(0, completion_id(own.first, 1, 0))])
    record = CampaignFolder(home, "demo").record(2)
    note(record, "main/train", "train", [made], "model")
    CampaignFolder(home, "demo").write_round(record)
    bundle.write(home, "demo", tmp_path / "given", weights=False)
    for switches in ((), ("-B",)):
        said = verified(tmp_path / "given", *switches).stdout
        place = said.index(f"model {made.digest[:12]}, made by demo round 2 attempt 1 main/train\n")
        assert said[place:].splitlines()[1].strip() == "1 of the examples given were evicted, and not learned"


@pytest.mark.parametrize(
    "pattern",
    [
        "README.md",
        "bundle.json",
        "verify.py",
        "campaign/campaign.json",
        "campaign/round-001/round.json",
        "store/by-key/*/1.json",
        "store/by-key/*/1.stats.json",
        "store/artifacts/*/*/.files.json",
        "store/artifacts/*/*/completions.parquet",
        "store/artifacts/*/*/config.json",
    ],
)
def test_one_altered_byte_is_named(made, tmp_path, pattern):
    folder = tmp_path / "demo"
    shutil.copytree(made[0], folder)
    path = sorted(folder.glob(pattern))[0]
    content = bytearray(path.read_bytes())
    content[5 if pattern == "verify.py" else -2] ^= 1  # in its docstring: a program that is broken cannot say so itself
    path.write_bytes(content)
    checked = verified(folder)
    assert checked.returncode == 1
    assert f"MISMATCH {path.relative_to(folder)}: " in checked.stdout


def test_what_is_missing_or_added_is_named(made, tmp_path):
    folder = tmp_path / "demo"
    shutil.copytree(made[0], folder)
    gone = next(folder.glob("store/artifacts/*/*/verdicts.parquet"))
    gone.unlink()
    (folder / "campaign" / "more.json").write_text("{}")
    checked = verified(folder)
    assert checked.returncode == 1
    assert f"MISMATCH {gone.relative_to(folder)}: is missing" in checked.stdout
    assert "MISMATCH campaign/more.json: does not belong to the bundle" in checked.stdout


def test_a_forger_who_mends_every_sum_of_a_file_is_caught_by_the_artifact_and_the_record(made, tmp_path):
    import hashlib

    folder = tmp_path / "demo"
    shutil.copytree(made[0], folder)
    record = next(folder.glob("store/by-key/*/1.json"))
    text = record.read_text().replace('"seed":7', '"seed":8')
    record.write_text(text)
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"][str(record.relative_to(folder))] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(manifest))
    said = verified(folder).stdout
    assert "MISMATCH bundle.json: its seal" in said
    assert f"MISMATCH {record.relative_to(folder)}: the record's seal does not match it" in said
    assert f"MISMATCH {record.relative_to(folder)}: its key is not that of its ingredients" in said


def test_weights_come_along_where_they_are_asked_for(small, tmp_path):
    bundle.write(small.home, "demo", tmp_path / "demo", weights=True)
    assert len(list((tmp_path / "demo").rglob("*.safetensors"))) == 4
    assert verified(tmp_path / "demo").returncode == 0


def test_an_archive_holds_the_same(small, tmp_path):
    bundle.write(small.home, "demo", tmp_path / "demo.tar.gz", weights=False)
    with tarfile.open(tmp_path / "demo.tar.gz") as archive:
        archive.extractall(tmp_path / "opened", filter="data")
    assert verified(tmp_path / "opened" / "demo").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.tar.gz", "opened"]


def test_a_home_that_forgot_gives_a_bundle_that_holds_together(small, home, tmp_path):
    own = small.copy(home)
    done = forgetting.forget(home, "completion", completion_id(own.base, 0, 0))
    bundle.write(home, "demo", tmp_path / "demo", weights=False)
    checked = verified(tmp_path / "demo")
    assert checked.returncode == 0, checked.stdout
    assert done.artifacts[own.examples[2]][:12] in checked.stdout


def test_a_target_that_is_taken_or_a_campaign_that_is_not_there_is_refused(small, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(UserError, match="taken is not empty; give another folder"):
        bundle.write(small.home, "demo", tmp_path / "taken", weights=False)
    with pytest.raises(UnknownName, match="did you mean 'demo'"):
        bundle.write(small.home, "demon", tmp_path / "new", weights=False)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
