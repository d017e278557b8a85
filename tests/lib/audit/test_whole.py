"""What an audit says of a home, whole or changed in one place: that place is named, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lib import garbage
from lib.audit.whole import audit
from lib.errors import UnknownName
from lib.home import Home
from tests.audited_home import audited, delete, edited, flip, folder_of, job_of, named, record_of, swap
from tests.small_home import SmallHome

Change = Callable[[Home], object]


def test_a_whole_home_passes_and_says_how_much_was_looked_at(small: SmallHome):
    report = audited(small.home)
    assert (named(report), report.unchecked, report.passed) == ([], [], True)
    kinds = {"artifacts": 26, "records": 26, "rounds": 4, "completions": 28, "examples": 12}
    assert {name: report.counts[name] for name in kinds} == kinds
    assert report.counts["bytes"] == sum(
        path.stat().st_size for path in small.home.store.glob("artifacts/*/*/**/*") if path.is_file() and path.name != ".files.json"
    )


def by_key(home: Home, number: int, stage: str):
    job = job_of(home, number, stage)
    return home.store / "by-key" / job["key"] / f"{job['version']}.json"


@pytest.mark.parametrize(
    ("change", "check", "thing", "says"),
    [
        (
            lambda home: flip(folder_of(home, 1, "main/sample") / "completions.parquet"),
            "digests",
            "round 1 main/sample), completions.parquet: expected sha256 ",
            "roundhouse rerun demo --round 1 --from main/sample",
        ),
        (
            lambda home: (folder_of(home, 2, "main/verify") / "verdicts.parquet").unlink(),
            "digests",
            "round 2 main/verify), verdicts.parquet: expected sha256 ",
            "found no such file",
        ),
        (
            lambda home: (folder_of(home, 2, "main/verify") / "more.parquet").write_text("x"),
            "digests",
            "round 2 main/verify), more.parquet: expected no such file",
            "found one that does not belong to it",
        ),
        (
            lambda home: delete(folder_of(home, 2, "main/sample", place=1)),
            "digests",
            "round 2 main/sample): expected its files",
            "found none: it is not in the store",
        ),
        (
            lambda home: edited(folder_of(home, 2, "main/train") / ".files.json", lambda index: index["files"].update(more="0" * 64)),
            "digests",
            "round 2 main/train), .files.json: expected a list whose sha256 is ",
            "found one whose sha256 is ",
        ),
        (
            lambda home: edited(by_key(home, 1, "main/filter"), lambda record: record["ingredients"].update(seed=8)),
            "records",
            "round 1 main/filter): expected a record sealed by its own sha256",
            "found one that was altered",
        ),
        (lambda home: by_key(home, 1, "main/verify").unlink(), "records", "round 1 main/verify): expected a record", "found no such file"),
        (
            lambda home: flip(folder_of(home, 2, "main/verify") / "verdicts.parquet", 10**9),  # its footer
            "digests",
            "round 2 main/verify), verdicts.parquet: expected sha256 ",
            "roundhouse rerun demo --round 2 --from main/verify",
        ),
        (
            lambda home: edited(record_of(home, 2), lambda record: record["stages"]["main/sample"]["jobs"][0].pop("key")),
            "rounds",
            "round-002/round.json: expected a record that can be read",
            "restore it from a copy",
        ),
        (lambda home: record_of(home, 1).write_text("{}"), "rounds", "round-001/round.json: expected a record that can be read", "damaged"),
    ],
    ids=["byte", "file", "surplus", "shard", "manifest", "record", "no record", "footer", "job", "round"],
)
def test_what_was_changed_is_named_and_nothing_beside_it(small: SmallHome, change: Change, check: str, thing: str, says: str):
    change(small.home)
    found = [one for one in named(audited(small.home)) if "begin with" not in one[1]]  # what came after a round that cannot be read
    assert [one[0] for one in found] == [check]
    assert thing in found[0][1]
    assert says in found[0][1]


def test_artifacts_that_changed_places_are_both_named(small: SmallHome):
    swap(folder_of(small.home, 1, "main/sample"), folder_of(small.home, 2, "main/sample"))
    found = named(audited(small.home))
    assert [(check, ".files.json" in line) for check, line in found] == [("digests", True), ("digests", True)]


def test_a_record_of_a_round_is_held_against_what_it_names(small: SmallHome):
    warm = small.warm
    edited(record_of(small.home, 2), lambda record: record["made"].update(policy=warm))
    edited(record_of(small.home, 1), lambda record: record["start"].update(policy=small.random))
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["rounds", "rounds"]
    assert "round-001/round.json: expected it to begin with" in found[0][1]
    assert "round-002/round.json: expected the policy that it made to be of one of its train stages" in found[1][1]


def test_a_job_that_names_another_artifact_than_its_publication_is_named(small: SmallHome):
    other = small.examples[1]
    edited(record_of(small.home, 2), lambda record: record["stages"]["main/filter"]["jobs"][0].update(digest=other))
    found = named(audited(small.home))
    assert {check for check, _ in found} == {"rounds"}
    assert "expected main/filter to have made " in found[0][1]


def test_weights_that_were_collected_are_no_mismatch(small: SmallHome):
    assert garbage.collect(small.home, keep=0)
    report = audited(small.home)
    assert report.passed
    assert sorted(line[21:33] for line in report.collected) == sorted(digest[:12] for digest in (small.random, small.second))


def test_what_was_lost_is_a_mismatch_until_it_is_made_again_and_a_loss_then(small: SmallHome):
    job = job_of(small.home, 1, "main/verify")
    folder = small.store.folder(job["digest"])
    content = (folder / "verdicts.parquet").read_bytes()
    flip(folder / "verdicts.parquet")
    assert small.store.lookup(job["key"]) is None  # as a run that wants it finds it
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["losses"]
    assert "in quarantine: artifact" in found[0][1]

    ingredients = json_of(small, job)
    with small.store.workspace() as out:
        (out / "verdicts.parquet").write_bytes(content)
        small.store.publish(out, job["key"], ingredients, {}, {})
    report = audited(small.home)
    assert named(report) == []
    assert "version 2 stands in its place, with the same content" in report.losses[0]


def json_of(small: SmallHome, job):
    """The ingredients of a publication that is in quarantine."""
    import json

    (aside,) = small.home.store.glob("quarantine/*-1.json")
    return json.loads(aside.read_text())["ingredients"]


def test_an_audit_writes_nothing(small: SmallHome):
    flip(folder_of(small.home, 1, "main/sample") / "completions.parquet")
    before = {path: path.stat().st_mtime_ns for path in small.home.root.rglob("*") if path.is_file()}
    audited(small.home)
    assert {path: path.stat().st_mtime_ns for path in small.home.root.rglob("*") if path.is_file()} == before


def test_progress_is_told_from_the_first_byte_to_the_last(small: SmallHome):
    heard: list[tuple[str, int, int]] = []
    report = audit(small.home, "demo", offline=True, told=lambda *said: heard.append(said))
    bytes_told = [(done, total) for what, done, total in heard if what == "digests"]
    assert bytes_told[-1][0] == report.counts["bytes"] <= bytes_told[-1][1]
    checks = {"records", "rounds", "ancestry", "conservation", "memory", "owed", "iterations", "held out"}
    assert {what for what, _, _ in heard} == {"digests", *checks}


def test_a_campaign_that_is_not_there_is_named_with_those_that_are(small: SmallHome):
    with pytest.raises(UnknownName, match=r"no campaign 'dema'.*did you mean 'demo'"):
        audited(small.home, "dema")
