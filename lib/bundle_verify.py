"""Checks the bundle that this file lies in: `python verify.py`, with Python 3.9 or newer and nothing else.

It recomputes the sha256 of every file, the digest of every artifact from its index, the seal and the key of every record;
follows every round to its records, and every model to the examples, completions and problems behind it. Each mismatch is a
line that names the file, and the exit status is 1. Where pyarrow is installed the rows of every table are counted too.

What it cannot say: whether the whole bundle is the one that was given out. Compare the seal that it prints for that.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import pyarrow.parquet as parquet
except ImportError:
    parquet = None

Json = dict[str, Any]


def canonical(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def sha256_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


class Bundle:
    """A bundle, and what was found wrong with it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[str] = []
        self.records: dict[tuple[str, int], Json] = {}
        self.manifest: Json = self.read("bundle.json") or {}
        self.files: dict[str, str] = self.manifest.get("files", {})

    def read(self, name: str) -> Any:
        """A JSON file's value; None, and a fault, where it holds none."""
        try:
            return json.loads((self.root / name).read_bytes())
        except (OSError, ValueError) as error:
            self.faults.append(f"{name}: cannot be read ({str(error).splitlines()[0]})")
            return None

    def check(self) -> None:
        """Everything, in order; faults are collected."""
        sealed = {name: value for name, value in self.manifest.items() if name != "seal"}
        if digest(sealed) != self.manifest.get("seal"):
            self.faults.append("bundle.json: its seal does not match it")
        self.check_files()
        for name in sorted(name for name in self.files if name.endswith("/.files.json")):
            self.check_artifact(name)
        for name in sorted(name for name in self.files if name.startswith("store/by-key/") and not name.endswith(".stats.json")):
            self.check_record(name)
        for name in self.rounds():
            self.check_round(name, self.read(name) or {})

    def check_files(self) -> None:
        there = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        for name, sha in sorted(self.files.items()):
            if name not in there:
                self.faults.append(f"{name}: is missing")
            elif sha256_of(self.root / name) != sha:
                self.faults.append(f"{name}: does not match its sha256")
        ours = {"bundle.json", *(name for name in there if "__pycache__" in name)}
        self.faults += [f"{name}: does not belong to the bundle" for name in sorted(there - self.files.keys() - ours)]

    def check_artifact(self, name: str) -> None:
        """The index has the digest of its folder, and every file that the index names is as it says, or told to be left out."""
        folder = name.rpartition("/")[0]
        index = self.read(name)
        if index is None:
            return
        if digest(index) != folder.rpartition("/")[2]:
            self.faults.append(f"{name}: does not match the digest of its artifact")
        is_replaced = f"{folder}/.forgotten.json" in self.files
        for file, sha in index.get("files", {}).items():
            whole = f"{folder}/{file}"
            if whole not in self.files and not is_replaced and whole not in self.manifest.get("left_out", []):
                self.faults.append(f"{whole}: the artifact has it and the bundle has not")
            elif whole in self.files and self.files[whole] != sha:
                self.faults.append(f"{whole}: is not the file of its artifact")

    def check_record(self, name: str) -> None:
        """The seal is that of the record, the key that of its ingredients, and its artifact is here."""
        record = self.read(name)
        if record is None:
            return
        key, _, version = name[len("store/by-key/") : -len(".json")].partition("/")
        if digest({field: value for field, value in record.items() if field != "record"}) != record.get("record"):
            self.faults.append(f"{name}: the record's seal does not match it")
        if (record.get("key"), str(record.get("version"))) != (key, version) or digest(record.get("ingredients")) != key:
            self.faults.append(f"{name}: its key is not that of its ingredients")
        made = record.get("output", {}).get("digest", "")
        if f"store/artifacts/{made[:2]}/{made}/.files.json" not in self.files and made not in self.manifest.get("gone", []):
            self.faults.append(f"{name}: its artifact {made[:12]} is not in the bundle")
        self.records[key, int(version) if version.isdigit() else 0] = record

    def rounds(self) -> list[str]:
        return sorted(name for name in self.files if name.startswith("campaign/") and name.endswith("/round.json"))

    def check_round(self, name: str, told: Json) -> None:
        """Every job of a round has the record that it names, and made what that says."""
        for stage, done in told.get("stages", {}).items():
            for job in done["jobs"]:
                record = self.records.get((job["key"], job["version"]))
                if record is None:
                    self.faults.append(f"{name}: {stage} names record {job['key'][:12]}/{job['version']}, which is not in the bundle")
                elif record["output"]["digest"] != job["digest"]:
                    self.faults.append(f"{name}: {stage} names artifact {job['digest'][:12]}, and its record another")

    def now(self, artifact: str) -> str:
        """The artifact that took another's place when something in it was forgotten."""
        name = f"store/artifacts/{artifact[:2]}/{artifact}/.forgotten.json"
        return self.now(self.read(name)["now"]) if name in self.files else artifact

    def rows(self, artifact: str) -> dict[str, int]:
        """Table → rows of an artifact: counted where pyarrow is there, as its records say elsewhere."""
        artifact = self.now(artifact)
        said = [r["output"]["rows"] for r in self.records.values() if r["output"]["digest"] == artifact]
        told = said[-1] if said else {}
        folder = f"store/artifacts/{artifact[:2]}/{artifact}/"
        if parquet is None:
            return told
        counted: dict[str, int] = {}
        for name in sorted(name for name in self.files if name.startswith(folder) and name.endswith(".parquet")):
            try:
                rows = parquet.read_metadata(self.root / name).num_rows
            except (OSError, ValueError) as error:
                self.faults.append(f"{name}: cannot be read ({str(error).splitlines()[0]})")
                continue
            table = name.rpartition("/")[2][: -len(".parquet")]
            counted[table] = counted.get(table, 0) + rows
        for table, count in counted.items():
            if told.get(table, count) != count:
                self.faults.append(f"{folder}: has {count} rows of {table}, and its record says {told[table]}")
        return counted

    def walk(self) -> Iterator[str]:
        """For each model: what it learned from, how many completions that came of, and how many were dropped."""
        seen: set[tuple[str, str]] = set()  # the base model's training stands in base/round.json and in round 0's
        for name in self.rounds():
            told = self.read(name) or {}
            for stage, done in told.get("stages", {}).items():
                where = f"{told['campaign']} round {told['round']} attempt {told['attempt']} {stage}"
                for job in done["jobs"] if done["verb"] == "train" else ():
                    if (where, job["digest"]) not in seen:
                        seen.add((where, job["digest"]))
                        yield from self.model(where, job)

    def model(self, where: str, job: Json) -> Iterator[str]:
        yield f"model {job['digest'][:12]}, made by {where}"
        inputs = self.records.get((job["key"], job["version"]), {}).get("ingredients", {}).get("inputs", {})
        if evicted := self.rows(job["digest"]).get("evicted", 0):
            yield f"    {evicted} of the examples given were evicted, and not learned"
        for name in ("examples", "replay"):
            for artifact in inputs.get(name, []):
                rows = self.rows(artifact)
                examples = sum(count for table, count in rows.items() if table.startswith("examples_"))
                made = f"{examples} examples of {rows.get('example_sources', 0)} completions, {rows.get('dropped', 0)} dropped"
                yield f"    {name} {self.now(artifact)[:12]}: {made}{self.behind(artifact)}"

    def behind(self, artifact: str) -> str:
        """How many completions a filter was given, in how many artifacts."""
        for record in self.records.values():
            if record["output"]["digest"] in (artifact, self.now(artifact)):
                given = record["ingredients"]["inputs"].get("completions", [])
                total = sum(self.rows(one).get("completions", 0) for one in given)
                return f", from {total} completions in {len(given)} artifacts"
        return ""


def main() -> int:
    bundle = Bundle(Path(__file__).resolve().parent)
    bundle.check()
    if bundle.manifest:
        for line in bundle.walk():
            print(line)  # noqa: T201
    for fault in dict.fromkeys(bundle.faults):
        print(f"MISMATCH {fault}")  # noqa: T201
    counted = f"{len(bundle.files)} files, {len(bundle.records)} records"
    verdict = f"{len(bundle.faults)} mismatches" if bundle.faults else "everything matches"
    print(f"{counted}: {verdict}; seal {bundle.manifest.get('seal')}")  # noqa: T201
    return 1 if bundle.faults else 0


if __name__ == "__main__":
    sys.exit(main())
