"""A model server for tests: the parts of the OpenAI API that vLLM speaks, over the huggingface engine, with faults on demand.

    python tests/model_server.py --folder MODEL --name NAME --port PORT [--key VARIABLE]

`Faulty` holds what goes wrong with the next requests, in order, and what came in.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from lib import protocols
from lib.engines.huggingface import Huggingface
from lib.protocols import Machine
from lib.seeds import seed_of


@dataclass
class Faulty:
    """How the server behaves, and what it has seen."""

    faults: list[str] = field(default_factory=list)
    """For the next requests, in order: a status, `reset`, `malformed`, `few`, `many`, `none`, `text`, or fine."""
    retry_after: str | None = None
    gives_ids: bool = True
    takes_ids: bool = True
    has_completions: bool = True
    echoes_key: bool = False
    key: str | None = None
    slow_seconds: float = 0.0
    answers_as: str | None = None
    adds_to_prompt: tuple[int, ...] = ()
    seen: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0


def app_over(folder: Path, name: str, state: Faulty) -> FastAPI:
    """The server's routes over one model."""
    engine = Huggingface().open(folder, name, Machine())
    app = FastAPI()

    @app.get("/v1/models")
    def models() -> Response:
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"}]})

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        return await answered(request, chat=False)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await answered(request, chat=True)

    async def answered(request: Request, *, chat: bool) -> Response:
        state.at_once += 1
        state.most_at_once = max(state.most_at_once, state.at_once)
        try:
            return await reply(request, chat)
        finally:
            state.at_once -= 1

    async def reply(request: Request, chat: bool) -> Response:
        body = await request.json()
        state.seen.append({**body, "chat": chat, "authorization": request.headers.get("authorization")})
        state.times.append(time.monotonic())
        await asyncio.sleep(state.slow_seconds)
        if state.key is not None and request.headers.get("authorization") != f"Bearer {state.key}":
            return JSONResponse({"error": f"bad key {request.headers.get('authorization')}"}, 401)
        if body["model"] != name:
            return JSONResponse({"error": "no such model"}, 404)
        if not chat and not (state.has_completions and (state.takes_ids or isinstance(body["prompt"], str))):
            return JSONResponse({"error": "prompt must be text"}, 400)
        fault = state.faults.pop(0) if state.faults else "fine"
        if (broken := failing(fault, state)) is not None:
            return broken
        asked = {"few": max(1, body["n"] - 1), "many": body["n"] + 2, "none": 0}.get(fault, body["n"])
        made = choices(engine, body, asked, chat, state)
        if state.echoes_key:
            made[0]["message" if chat else "text"] = {"content": f"key {request.headers.get('authorization')}"} if chat else "key"
        return JSONResponse({"model": state.answers_as or name, "choices": made})

    return app


def failing(fault: str, state: Faulty) -> Response | None:
    """The answer of a fault that leaves no choices."""
    if fault.isdigit():
        headers = {"retry-after": state.retry_after} if state.retry_after else {}
        return PlainTextResponse("busy", int(fault), headers=headers)
    if fault == "malformed":
        return PlainTextResponse('{"choices": [{"text": "abc", "finish')
    if fault == "text":
        return PlainTextResponse("<html>hello</html>")
    if fault == "reset":

        async def half() -> Any:
            yield b'{"choices": ['
            raise ConnectionResetError

        return StreamingResponse(half(), headers={"content-length": "1000"})
    return None


def choices(engine: protocols.Engine, body: dict[str, Any], n: int, chat: bool, state: Faulty) -> list[dict[str, Any]]:
    """Answers of the huggingface engine, as vLLM writes them."""
    prompt = engine.render(body["messages"]) if chat else body["prompt"]
    ids = engine.encode(prompt)[:-1] if isinstance(prompt, str) else prompt
    ids = [*ids, *state.adds_to_prompt]
    wanted = protocols.Request(ids, tuple(seed_of(body["seed"], i) for i in range(n)))
    law = {"temperature": body["temperature"], "top_p": body["top_p"], "max_new_tokens": body["max_tokens"]}
    (answers,) = engine.sample([wanted], **law, report=lambda done, total: None) if n else [[]]
    found = []
    for index, answer in enumerate(answers):
        figures = answer.logprobs_at_1 or []
        content = {"content": [{"token": "?", "logprob": figure} for figure in figures]}
        listed = {"token_logprobs": figures, "tokens": ["?"] * len(figures)}
        text = engine.decode(answer.ids)
        given = {"token_ids": answer.ids, "prompt_token_ids": list(ids)} if state.gives_ids and body.get("return_token_ids") else {}
        spoken = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        asked = content if chat and body["logprobs"] else listed if not chat and "logprobs" in body else None
        found.append({"index": index, **spoken, **given, "finish_reason": answer.finish_reason, "logprobs": asked})
    return found[::-1]  # in any order: the index tells


class Running:
    """A server in a thread of this process."""

    def __init__(self, app: FastAPI, port: int = 0) -> None:
        self.port = port
        self._app = app
        self._server: uvicorn.Server | None = None

    def start(self) -> None:
        config = uvicorn.Config(self._app, host="127.0.0.1", port=self.port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(10)
            self._server = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextlib.contextmanager
def running(folder: Path, name: str, state: Faulty) -> Iterator[Running]:
    """A started server, stopped in the end."""
    server = Running(app_over(folder, name, state))
    server.start()
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", help="the variable that holds the key which clients must have")
    given = parser.parse_args()
    state = Faulty(key=os.environ[given.key] if given.key else None)
    uvicorn.run(app_over(given.folder, given.name, state), host="127.0.0.1", port=given.port, log_level="warning")
