import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lib import records, tables
from lib.db import Rows
from lib.errors import BrokenConservation, SchemaMismatch, UnknownName, UserError
from tests.filter_stage import completion, verdict


@pytest.fixture
def rows(tmp_path):
    completions, verdicts = tmp_path / "completions.parquet", tmp_path / "it's verdicts.parquet"
    tables.write(records.COMPLETIONS.table([completion(name) for name in "abcd"]), records.COMPLETIONS, completions)
    judged = [
        verdict("a", "correct", score=0.5),
        verdict("a", "correct", verifier="w"),
        verdict("a", "wrong", step=1),
        verdict("a", "wrong", rival_id="b"),
        verdict("a", None, verifier="scorer", score=9.0),
        verdict("b", "wrong"),
        verdict("b", "correct", verifier="w"),
        verdict("c", "undecided"),
        verdict("c", "wrong", verifier="w"),
    ]
    tables.write(records.VERDICTS.table(judged), records.VERDICTS, verdicts)
    with Rows({"completions": [completions], "verdicts": [verdicts]}, seed=3, spill=tmp_path / "spill") as opened:
        yield opened


def test_judged_joins_the_verdicts_on_the_whole_completion(rows):
    found = rows.sql("SELECT * FROM judged(NULL) ORDER BY completion_id").fetchall()
    assert found == [("a", "correct", 0.75), ("b", "wrong", 0.5), ("c", "undecided", 0.0), ("d", "no verdict", None)]


def test_judged_by_one_verifier_ignores_the_others(rows):
    found = rows.sql("SELECT completion_id, outcome FROM judged($v) ORDER BY ALL", v=rows.known_verifier("w")).fetchall()
    assert found == [("a", "correct"), ("b", "correct"), ("c", "wrong"), ("d", "no verdict")]


def test_an_unknown_verifier_is_named_with_the_near_miss(rows):
    with pytest.raises(UnknownName, match=r"no verifier 'scorr'.*did you mean 'scorer'"):
        rows.known_verifier("scorr")


def test_what_was_not_given_is_empty(rows):
    assert rows.count("SELECT count(*) FROM problems") == rows.count("SELECT count(*) FROM held_out") == 0


def test_labels_hide_the_prompt_and_the_masked(rows):
    found = rows.sql("SELECT sequence([1, 2], [3, 4]), labels([1, 2], [3, 4], NULL), labels([1, 2], [3, 4], [0, 1])").fetchall()
    assert found == [([1, 2, 3, 4], [-100, -100, 3, 4], [-100, -100, -100, 4])]


def test_draw_depends_on_seed_and_id(rows, tmp_path):
    query = "SELECT draw('a') < draw('b')"
    orders = set()
    for seed in range(20):
        with Rows({}, seed=seed, spill=tmp_path) as opened:
            assert opened.sql(query).fetchall() == opened.sql(query).fetchall()
            orders.add(opened.sql(query).fetchall()[0][0])
    assert orders == {True, False}


def test_a_python_function_can_judge_rows(rows):
    said = rows.each("SELECT completion_id, text, turn FROM completions", lambda text, turn: None if "b" in text else "no b")
    rows.narrow(said, "Mine")
    assert rows.sql("SELECT completion_id FROM completions").fetchall() == [("b",)]
    assert rows.count("SELECT count(*) FROM dropped WHERE filter = 'Mine' AND reason = 'no b'") == 3
    rows.narrow(rows.each("SELECT completion_id, text FROM completions", lambda text: "and now b"), "Other")
    assert rows.count("SELECT count(*) FROM completions") == 0


@pytest.mark.parametrize(
    "query",
    [
        "SELECT completion_id, NULL AS reason FROM completions WHERE completion_id <> 'a'",
        "SELECT completion_id, NULL AS reason FROM completions UNION ALL SELECT 'a', NULL",
        "SELECT completion_id || '!' AS completion_id, NULL AS reason FROM completions",
    ],
)
def test_a_filter_names_each_standing_completion_once(rows, query):
    with pytest.raises(BrokenConservation, match="Mine named"):
        rows.narrow(rows.sql(query), "Mine")


def test_a_filter_with_other_columns_is_told_which_are_wanted(rows):
    with pytest.raises(UserError, match=r"Mine.filter returned columns \(completion_id\); wanted"):
        rows.narrow(rows.sql("SELECT completion_id FROM completions"), "Mine")


def test_a_table_of_another_kind_is_refused(tmp_path):
    tables.write(records.VERDICTS.empty(), records.VERDICTS, tmp_path / "v.parquet")
    with pytest.raises(SchemaMismatch, match="verdicts/v1"):
        Rows({"problems": [tmp_path / "v.parquet"]}, seed=0, spill=tmp_path)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY completions TO '{folder}/stolen.parquet'",
        "ATTACH '{folder}/new.db'",
        "SET enable_external_access = true",
        "SET threads = 4",
    ],
)
def test_sql_reaches_nothing_but_the_files_given(rows, tmp_path, query):
    with pytest.raises(duckdb.Error, match=r"disabled|Cannot change configuration"):
        rows.sql(query.format(folder=tmp_path)).fetchall()
    assert not (tmp_path / "stolen.parquet").exists()


def test_more_rows_than_memory_spill_to_disk_and_come_out_in_order(tmp_path):
    many = "SELECT md5(i::VARCHAR) || repeat('x', 300) AS id FROM range(500_000) AS t(i)"
    spill = tmp_path / "spill"
    with Rows({}, seed=0, spill=spill, memory_limit="100MB") as rows:
        rows.hold("many", many)
        assert any(spill.iterdir())
        dropped = rows.sql("SELECT 'completion' AS unit, id, 'f' AS filter, 'r' AS reason FROM many")
        assert rows.write(dropped, records.DROPPED, tmp_path / "dropped.parquet") == 500_000
    written = tables.read(tmp_path / "dropped.parquet", records.DROPPED)["id"]
    assert written.equals(written.take(pc.sort_indices(written)))


def test_a_named_scorer_gives_scores_without_an_outcome(rows):
    found = rows.sql("SELECT * FROM judged($v) ORDER BY ALL", v="scorer").fetchall()
    assert found == [("a", "scored", 9.0), ("b", "no verdict", None), ("c", "no verdict", None), ("d", "no verdict", None)]


def test_pass_rates_count_the_decided_of_all_completions_given(rows):
    assert rows.sql("SELECT * FROM pass_rates(NULL)").fetchall() == [("p", 2, 0.5)]
    rows.narrow(rows.sql("SELECT completion_id, nullif(outcome, 'correct') AS reason FROM judged(NULL)"), "Mine")
    assert rows.sql("SELECT * FROM pass_rates(NULL)").fetchall() == [("p", 2, 0.5)]
    assert rows.sql("SELECT * FROM pass_rates('w')").fetchall() == [("p", 3, pytest.approx(2 / 3))]
    assert rows.sql("SELECT * FROM judged(NULL)").fetchall() == [("a", "correct", 0.75)]
    assert rows.sql("SELECT outcome FROM said(NULL) WHERE completion_id = 'b'").fetchall() == [("wrong",)]


@pytest.mark.parametrize(
    ("text", "plain", "words"),
    [
        ("  Two\n+ TWO ", "two + two", ["two", "two"]),
        ("1,000.5%", "1 , 000 . 5 %", ["10005"]),
        ("Cafe\u0301 it's\u00a0x_1", "caf\u00e9 it ' s x_1", ["caf\u00e9", "its", "x_1"]),
        ("a\u200bb\x00c", "ab c", ["ab", "c"]),
        ("\u202e...", ". . .", []),
        ("", "", []),
    ],
)
def test_texts_are_compared_plain_or_by_their_words(rows, text, plain, words):
    assert rows.sql("SELECT plain($text), words($text)", text=text).fetchall() == [(plain, words)]


def test_a_table_can_be_made_from_itself_and_by_python(rows):
    rows.hold("mine", "SELECT completion_id FROM completions")
    rows.hold("mine", "SELECT * FROM mine WHERE completion_id > $least", least="b")
    assert rows.sql("SELECT * FROM mine ORDER BY ALL").fetchall() == [("c",), ("d",)]
    rows.hold_made("made", "SELECT completion_id FROM mine", lambda batch: pa.table({"n": pa.array([batch.num_rows], pa.int64())}))
    assert rows.count("SELECT sum(n) FROM made") == 2
    rows.hold_made("made", "SELECT completion_id FROM mine WHERE false", lambda batch: pa.table({"id": batch.column(0)}))
    assert rows.sql("SELECT id FROM made").fetchall() == []


def test_what_a_filter_held_is_let_go_with_it(rows):
    rows.hold("held", "SELECT completion_id FROM completions")
    rows.narrow(rows.sql("SELECT completion_id, NULL AS reason FROM held"), "Mine")
    with pytest.raises(duckdb.CatalogException, match="held does not exist"):
        rows.count("SELECT count(*) FROM held")
