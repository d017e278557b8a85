import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lib.errors import BadProblems
from lib.problems.gsm8k import Gsm8k
from lib.problems.hub import hub_rows

ROOT = Path(__file__).resolve().parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CARD = """---
configs:
- config_name: main
  data_files:
  - {split: train, path: main/train.jsonl}
  - {split: test, path: main/test.jsonl}
---
"""
FILES = {
    "README.md": CARD.encode(),
    "main/train.jsonl": b'{"question": "1 + 1?", "answer": "#### 2"}\n{"question": "1 + 2?", "answer": "#### 3"}\n',
    "main/test.jsonl": b'{"question": "2 + 2?", "answer": "#### 4"}\n',
}
PROGRAM = """
import json, sys
from lib.errors import BadProblems
from lib.datafile import digest
from lib.problems.gsm8k import Gsm8k
from lib.problems.hub import hub_rows

said = {"digest": digest("hf:o/n/main"), "rows": hub_rows("hf:o/n/main"), "answers": {}}
for split in ("test", "all"):
    source = Gsm8k(path="hf:o/n/main@branch")
    said["answers"][split] = source.problems(split, source.available(split), 0)["answer"].to_pylist()
for address in sys.argv[1:]:
    try:
        hub_rows(address)
    except BadProblems as error:
        said[address] = str(error)
print(json.dumps(said))
"""


class Hub(BaseHTTPRequestHandler):
    """The few answers of the hub that reading one small dataset needs."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path in ("/api/datasets/o/n", "/api/datasets/o/n/revision/branch", f"/api/datasets/o/n/revision/{COMMIT}"):
            self._json({"id": "o/n", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]})
        elif path.startswith(f"/api/datasets/o/n/tree/{COMMIT}"):
            folder = path.partition(COMMIT)[2].strip("/")
            listed = [name for name in FILES if name.startswith(folder)]
            self._json([{"type": "file", "path": name, "size": len(FILES[name]), "oid": _tag(FILES[name])} for name in listed])
        elif path.startswith(f"/datasets/o/n/resolve/{COMMIT}/"):
            name = path.partition(f"{COMMIT}/")[2]
            body = FILES.get(name, b"")
            self._reply(200 if name in FILES else 404, body, {"ETag": f'"{_tag(body)}"', "X-Error-Code": "" if body else "EntryNotFound"})
        else:
            self._reply(404, b"", {"X-Error-Code": "RevisionNotFound" if "/datasets/o/n/" in path else "RepoNotFound"})

    do_HEAD = do_GET

    def log_message(self, *_):
        pass

    def _json(self, value):
        self._reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _reply(self, code, body, headers):
        self.send_response(code)
        for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(body))}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _tag(body):
    return hashlib.sha1(body).hexdigest()


@pytest.fixture
def said(tmp_path):
    """What a process of its own gets from the hub: its address is read when the libraries are imported."""
    wrong = ["hf:o/n/other", "hf:o/none", "hf:o/n@nowhere"]
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        own = {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **own}
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, *wrong], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        server.shutdown()
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_dataset_of_the_hub_is_read_at_its_commit(said):
    assert said["digest"] == f"hf:o/n/main@{COMMIT}"
    test, other = said["rows"]
    assert test == [["test row 1", {"question": "2 + 2?", "answer": "#### 4"}]]
    assert [row[0] for row in other] == ["train row 1", "train row 2"]
    assert sorted(said["answers"]["all"]) == ["2", "3", "4"] and said["answers"]["test"] == ["4"]
    assert "other" in said["hf:o/n/other"] and "main" in said["hf:o/n/other"]
    assert "no dataset 'o/none' on the hub" in said["hf:o/none"]
    assert "has no revision 'nowhere'" in said["hf:o/n@nowhere"]


def test_offline_a_dataset_cannot_be_read_and_the_error_is_one_line():
    with pytest.raises(BadProblems) as caught:
        Gsm8k(path=f"hf:openai/gsm8k/main@{COMMIT}").every()
    assert "cannot be read" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(BadProblems, match="give it: hf:openai/gsm8k@COMMIT"):
        hub_rows("hf:openai/gsm8k")
