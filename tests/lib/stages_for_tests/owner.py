"""A process of its own that runs one stage and is killed by a test: see `processes.own`.

It preloads nothing, which makes it start fast. FUNCTION `forget` runs one and never closes its session.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lib.forkserver import start_server
from lib.protocols import Machine, Work
from lib.worker import Session

if __name__ == "__main__":
    function, folder, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    start_server(preload=())
    work = Work(settings, {}, {}, 0, Machine())
    if function == "forget":
        forgotten = Session(lock_folder=folder)
        forgotten.run("tiny_stages:echo", work, folder / "out")
    else:
        with Session(lock_folder=folder) as session:
            print(json.dumps(session.run(f"tiny_stages:{function}", work, folder / "out").stats))
