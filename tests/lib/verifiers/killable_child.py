"""A child process for the tests of Killable, which does what it is told, well or badly."""

import os
import time
from pathlib import Path

from lib.verifiers.killable import serve


def answer(question):
    what = question["what"]
    if what == "sleep":
        time.sleep(60)
    elif what == "die":
        os._exit(3)
    elif what == "hold":
        try:
            return {"held": len(bytearray(question["bytes"]))}
        except MemoryError:
            return {"held": None}
    elif what == "write":
        try:
            Path(question["path"]).write_text("x")
        except OSError as error:
            return {"error": type(error).__name__}
    elif what == "print":
        print("{}", flush=True)
    return {"pid": os.getpid(), "environment": sorted(os.environ), "said": question.get("said")}


if __name__ == "__main__":
    serve(answer, 200 << 20)
