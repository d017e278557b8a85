import os
import signal
import subprocess
import sys
import threading

import pytest

from lib import records
from lib.campaign import CampaignFolder
from lib.errors import UnknownName, UserError
from lib.home import Home
from lib.ledger import NAMED, Ledger
from lib.records import TABLES
from lib.report.funnel import dropped, funnel
from lib.report.samples import samples
from lib.round_record import RoundRecord
from tests.filter_stage import completion, verdict
from tests.small_home import PROBLEMS, build, completion_id, model_files, note, train_some


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One home for the whole file: nothing below writes to it."""
    return build(Home(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def ledger(small):
    with Ledger(small.home) as opened:
        yield opened


def test_every_row_names_the_artifact_it_came_from(small, ledger):
    of = f"completion_id = '{completion_id(small.base, 2, 1)}'"
    (found,) = ledger.query(f"SELECT artifact, problem_id, sample_index FROM completions WHERE {of}").rows
    assert found[1:] == (PROBLEMS[2], 1)
    assert small.store.folder(found[0]).is_dir()
    assert ledger.query("SELECT count(*) FROM completions ANTI JOIN artifacts ON digest = artifact").rows == [(0,)]


def test_every_table_has_its_view_with_its_columns(ledger):
    views = ledger.tables()
    for name, spec in TABLES.items():
        assert views["metric_rows" if name == "metrics" else name] == ["artifact", *spec.schema.names]


def test_every_view_answers_even_in_an_empty_home(home):
    with Ledger(home) as empty:
        for view, columns in empty.tables().items():
            assert empty.query(f"SELECT * FROM {view}") == (columns, [])
        for name in NAMED:
            assert empty.query(NAMED[name].sql).rows == []


def test_shards_inside_an_artifact_are_read_and_resolved_as_inputs(small, ledger):
    assert sorted(ledger.query("SELECT problem_id FROM problems").rows) == sorted((name,) for name in PROBLEMS)
    read = "SELECT DISTINCT artifact FROM inputs JOIN stages USING (key) WHERE name = 'problems' AND verb = 'sample'"
    assert ledger.query(read).rows == ledger.query("SELECT DISTINCT artifact FROM problems").rows


def test_artifacts_tell_kind_rows_and_bytes(small, ledger):
    (found,) = ledger.query(f"SELECT kind, version, bytes, rows FROM artifacts WHERE digest = '{small.first}'").rows
    size = sum(p.stat().st_size for p in small.store.folder(small.first).iterdir() if p.name != ".files.json")
    assert found == ("train", 1, size, {})
    assert ledger.query("SELECT DISTINCT rows['completions'] FROM artifacts WHERE kind = 'sample' ORDER BY 1").rows == [(2,), (4,)]


def test_a_job_names_the_very_models_it_used(small, ledger):
    asked = f"SELECT role, model FROM job_models JOIN artifacts USING (key) WHERE digest = '{small.second}'"
    assert ledger.query(asked).rows == [("start", small.first)]


def test_models_of_equal_weights_are_told_apart_by_their_other_parts(small, home):
    own = small.copy(home)
    twin = own.publish(
        "adopt",
        {},
        {},
        {},
        {"model.safetensors": "weights of first", "config.json": '{"eos_token_id": 2}', "tokenizer_config.json": "{}"},
    )
    made = own.publish("train", {}, {}, {"start": twin.digest}, {"model.safetensors": "weights of its child"})
    with Ledger(home) as opened:
        asked = "SELECT model FROM job_models WHERE key = '{}'"
        assert opened.query(asked.format(made.key)).rows == [(twin.digest,)]
        assert {row[0] for row in opened.query("SELECT model FROM job_models").rows} >= {small.first, twin.digest}


def test_round_zero_joins_the_warm_start_and_its_measuring(small, ledger):
    columns = "round, state, model_in, model_out, sentence"
    assert ledger.query(f"SELECT {columns} FROM rounds ORDER BY round").rows == [
        (0, "accepted", small.random, small.base, "the first"),
        (1, "accepted", small.base, small.first, "better"),
        (2, "rejected", small.first, small.second, "no better"),
    ]
    stages = [row[0] for row in ledger.query("SELECT DISTINCT stage FROM stages WHERE round = 0 ORDER BY stage").rows]
    assert stages == ["evaluate/validation", "main/filter", "main/sample", "main/train", "main/verify"]


def test_metrics_hold_the_rounds_figures_and_the_closing_ones(ledger):
    found = ledger.query("SELECT round, split, value FROM metrics ORDER BY round, split").rows
    assert found == [(0, "validation", 0.25), (1, "test", 0.5), (1, "validation", 0.5)]


def test_the_funnel_counts_what_each_round_sampled_kept_and_learned_from(ledger):
    answer = ledger.query(NAMED["funnel"].sql)
    assert answer.columns == ["campaign", "round", "attempt", "sampled", "correct", "kept", "trained"]
    # round 2 keeps of both rounds, 3 + 3 less the one over the cap; training replays the 4 of the warm start
    assert answer.rows == [("demo", 0, 1, 4, 4, 4, 4), ("demo", 1, 1, 8, 3, 3, 7), ("demo", 2, 1, 8, 3, 5, 9)]


def test_drops_are_counted_by_reason(ledger):
    assert [row[1:] for row in ledger.query(NAMED["drop_reasons"].sql).rows] == [
        (1, 1, "main/filter", "KeepCorrect", "wrong", 5),
        (2, 1, "main/filter", "KeepCorrect", "wrong", 10),
        (2, 1, "main/filter", "CapPerProblem", "over the cap", 1),
    ]


def test_pass_rates_are_over_a_rounds_own_completions(ledger):
    answer = ledger.query(NAMED["pass_rates"].sql)
    assert answer.columns == ["campaign", "round", "attempt", "problems", "completions", "correct", "undecided", "solved_once"]
    assert answer.rows[1] == ("demo", 1, 1, 4, 8, 0.375, 0.0, 0.75)


def test_the_champion_is_the_last_accepted_model(small, ledger):
    assert ledger.query(NAMED["champions"].sql).rows == [("demo", "policy", small.first, 1, 1, "better")]


def test_a_training_that_sampled_for_itself_is_in_the_funnel_like_any_round(small, home):
    own = small.copy(home)
    names = [f"on{n}" for n in range(3)]
    said = [verdict(name, outcome) for name, outcome in zip(names, ("correct", "wrong", "correct"), strict=True)]
    rows = [{"example_id": f"e-{name}", "completion_id": name, "part": "whole"} for name in names[:2]]
    learned = {"input_ids": [1, 7], "labels": [-100, 7], "weight": 1.0}
    files = {
        **model_files("online"),
        "completions.parquet": (records.COMPLETIONS, [completion(name, PROBLEMS[0]) for name in names]),
        "verdicts.parquet": (records.VERDICTS, said),
        "examples_sft.parquet": (records.SFT, [{"example_id": r["example_id"], "problem_id": PROBLEMS[0], **learned} for r in rows]),
        "example_sources.parquet": (records.EXAMPLE_SOURCES, rows),
        "dropped.parquet": (records.DROPPED, [{"unit": "completion", "id": names[2], "filter": "Dedup", "reason": "again"}]),
    }
    trained = own.publish("train", {"iterations": {}}, {}, {"start": small.first}, files, rows={"example_sources": 2})
    record = RoundRecord("demo", 3, 1, "accepted", start={"policy": small.first}, made={"policy": trained.digest})
    note(record, "main/train", "train", [trained], "model")
    record.stages["main/train"]["learned"] = {"examples": [trained.digest]}
    CampaignFolder(home, "demo").write_round(record)
    with Ledger(home) as opened:
        assert opened.query(NAMED["funnel"].sql).rows[3:] == [("demo", 3, 1, 3, 2, 2, 2)]
        assert opened.query(NAMED["drop_reasons"].sql).rows[-1] == ("demo", 3, 1, "main/train", "Dedup", "again", 1)
        assert opened.query(NAMED["pass_rates"].sql).rows[-1][:5] == ("demo", 3, 1, 1, 3)
        assert funnel(opened, "demo", [record]) == [
            {"round": 3, "attempt": 1, "sampled": 3, "correct": 2, "kept": 2, "own": 2, "earlier": 0, "replayed": 0}
        ]
        assert [row["total"] for row in dropped(opened, "demo", [record])] == [1]
        shown = {row["completion_id"]: (row["outcome"], row["fate"]) for row in samples(opened, "demo", [record])}
        assert shown == {"on0": ("correct", "kept"), "on1": ("wrong", "kept"), "on2": ("correct", "dropped by Dedup: again")}


def test_what_was_evicted_is_not_among_what_was_trained_on(small, home):
    own, mine = small.copy(home), completion_id(small.first, 1, 0)
    given = [own.examples[1], own.examples[2]]
    made = train_some(own, "some", own.first, given, 4, [*((0, completion_id(own.base, n, 0)) for n in range(3)), (1, mine)])
    record = CampaignFolder(home, "demo").record(2)
    note(record, "main/train", "train", [made], "model")
    record.stages["main/train"]["learned"] = {"examples": given}
    CampaignFolder(home, "demo").write_round(record)
    with Ledger(home) as opened:
        assert opened.query(NAMED["funnel"].sql).rows[2] == ("demo", 2, 1, 8, 3, 5, 4)
        (row,) = funnel(opened, "demo", [record])
        assert (row["own"], row["earlier"], row["replayed"]) == (4, 0, 0)


def test_a_limit_cuts_the_answer(ledger):
    assert len(ledger.query("SELECT * FROM completions", limit=3).rows) == 3


@pytest.mark.parametrize(
    "sql",
    [
        "DESCRIBE completions",
        "SUMMARIZE verdicts",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t",
        "SELECT 1 UNION SELECT 2",
        "SELECT filter, row_number() OVER (ORDER BY id) FROM dropped;",
    ],
)
def test_reading_in_any_form_is_allowed(ledger, sql):
    assert ledger.query(sql).rows


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{outside}'",
        "COPY (SELECT 1) TO '{artifact}'",
        "WITH x AS (COPY (SELECT 1) TO '{artifact}' (USE_TMP_FILE false)) SELECT * FROM x",
        "SELECT * FROM rounds WHERE round IN (WITH x AS (COPY (SELECT 1) TO '{artifact}' (USE_TMP_FILE false)) SELECT 1)",
        "WITH x AS (DELETE FROM rounds RETURNING round) SELECT * FROM x",
        "INSERT INTO rounds (campaign) VALUES ('mine')",
        "DROP VIEW completions",
        "CREATE TABLE mine (i INT)",
        "ATTACH '{outside}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{artifact}'",
        "EXPORT DATABASE '{outside}'",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_json('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{secret}*')",
        "SELECT 1; SELECT 2",
        "",
        "ATTACH '{artifact}' AS mine (READ_ONLY)",
        "ATTACH '{outside}' AS mine (TYPE sqlite)",
        "WITH x AS (UPDATE rounds SET round = 9 RETURNING round) SELECT * FROM x",
        "WITH x AS MATERIALIZED (INSERT INTO rounds (campaign) VALUES ('mine') RETURNING 1) SELECT * FROM x",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{outside}''')",
        "SELECT * FROM enable_logging('QueryLog', storage='file', storage_path='{outside}')",
        "CALL enable_logging('QueryLog', storage='file', storage_path='{outside}')",
        "SELECT * FROM sqlite_scan('{secret}', 'word')",
        "SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM parquet_metadata('{secret}')",
        "CHECKPOINT",
        "USE empty",
        "PREPARE mine AS SELECT 1",
        "VACUUM",
    ],
)
def test_a_question_can_neither_write_nor_read_other_files(small, ledger, tmp_path, sql):
    secret, outside = tmp_path / "secret.csv", tmp_path / "outside"
    secret.write_text("word\nopen sesame\n")
    artifact = small.store.folder(small.warm) / "dropped.parquet"
    before = artifact.read_bytes()
    with pytest.raises(UserError) as refused:
        ledger.query(sql.format(secret=secret, outside=outside, artifact=artifact))
    assert "sesame" not in str(refused.value) and "\n" not in str(refused.value)
    assert not outside.exists()
    assert artifact.read_bytes() == before
    assert ledger.query("SELECT count(*) FROM rounds").rows == [(3,)]


def test_bad_sql_is_one_line_with_what_is_wrong_and_the_views(ledger):
    with pytest.raises(UserError, match=r'column "nonsense" not found.*views: artifacts, completions, costs, dropped') as refused:
        ledger.query("SELECT nonsense FROM rounds")
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"syntax error.*views: artifacts"):
        ledger.query("SELEC 1")


def test_a_misspelt_named_query_says_which_is_near(ledger):
    with pytest.raises(UnknownName, match="did you mean 'funnel'"):
        ledger.query("funel")


def test_files_are_opened_only_when_their_view_is_asked(small, home):
    own = small.copy(home)
    files = sorted(own.store.root.glob("artifacts/*/*/completions.parquet"))
    for path in files[1:]:  # the first tells the view its columns
        path.write_bytes(b"no longer Parquet")
    with Ledger(home) as opened:
        assert opened.query("SELECT count(*) FROM verdicts").rows == [(20,)]
        assert opened.query(f"SELECT count(*) > 0 FROM completions WHERE artifact = '{files[0].parent.name}'").rows == [(True,)]
        with pytest.raises(UserError, match="parquet"):
            opened.query("SELECT count(*) FROM completions")


def test_a_garbled_record_is_named(small, home):
    own = small.copy(home)
    record = sorted(own.store.root.glob("by-key/*/1.json"))[0]
    record.write_text("{")
    with pytest.raises(UserError, match=str(record)):
        Ledger(home)


def test_importing_the_ledger_imports_no_duckdb():
    code = "import sys, lib.ledger, lib.lineage; print([m for m in ('duckdb', 'torch', 'mlflow', 'prefect', 'trl') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


ENDLESS = "SELECT count(*) AS n FROM range(100000000) a, range(100000) b WHERE (a.range * 7 + b.range) % 13 = 5"


@pytest.mark.parametrize("asking", [Ledger.query, Ledger.rows])
def test_ctrl_c_in_a_question_is_an_interrupt_and_no_error_of_the_data(ledger, asking):
    soon = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    soon.start()
    with pytest.raises(KeyboardInterrupt):
        asking(ledger, ENDLESS)
    soon.join()
    assert ledger.query("SELECT count(*) > 0 FROM artifacts").rows == [(True,)]
