"""One model at a server: its prompts rendered by the model folder's tokenizer, its answers asked for side by side."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from lib import contract, models, seeds
from lib.engines.asking import Asker, Passing, Patience, Refused
from lib.engines.dialects import DIALECTS
from lib.engines.replies import Choice, choices, served_names
from lib.engines.serving import Served
from lib.engines.spool import Spool
from lib.engines.stops import before
from lib.errors import BadModel, RoundhouseError, ServerGone, UserError
from lib.protocols import Report, Request, Sampled

if TYPE_CHECKING:
    import httpx

    from lib.engines.openai_server import OpenaiServer

MOST_AT_ONCE = 64
"""Completions asked for in one request; servers limit them."""
MOST_RENDERED = 65_536
"""Prompts whose messages are remembered, for a server that takes messages only."""
SEEDS = 2**31
"""Seeds are sent modulo this: some servers read 32 bits."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Law:
    temperature: float
    top_p: float
    max_new_tokens: int


class ServerEngine:
    """An engine over a server; it holds the model's tokenizer and no weights."""

    def __init__(self, settings: OpenaiServer, folder: Path, model_id: str) -> None:
        self.model_id = model_id
        self._settings = settings
        self._folder = folder
        self._tokenizer = models.load_tokenizer(folder)
        self._stop_ids = models.stop_ids(folder)
        self._dialect = DIALECTS[settings.server]
        self._served: Served | None = None
        self._spool = Spool(None)
        self._rendered: dict[tuple[int, ...], list[dict[str, str]]] = {}
        self._endpoint: Literal["completions", "chat"] | None = None
        self._identified = False

    def render(self, messages: list[dict[str, str]]) -> list[int]:
        """Token ids of a chat prompt by the model folder's own template."""
        ids = cast("list[int]", self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))
        self._rendered[tuple(ids)] = messages
        if len(self._rendered) > MOST_RENDERED:
            self._rendered.pop(next(iter(self._rendered)))
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of completion ids, special tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def encode(self, text: str) -> list[int]:
        """Token ids of a completion's text and of the token that ends an assistant's turn."""
        end = models.end_of_turn(self._tokenizer, self._stop_ids)
        return [*self._plain(text), self._stop_ids[0] if end is None else end]

    def keep_in(self, folder: Path | None) -> None:
        """Keep finished answers in this folder from now on, and take up those that lie there."""
        self._spool = Spool(folder)

    def sample(
        self, requests: Sequence[Request], *, temperature: float, top_p: float, max_new_tokens: int, report: Report
    ) -> list[list[Sampled]]:
        """For each request, one `Sampled` per seed, in order; seeds are wishes, and answers kept from a crash come first.

        Raises UserError if the server takes none of the requests or not the key, ServerGone if it went away and did not
        come back, BadModel if it has another model or another template.
        """
        if not any(request.seeds for request in requests):
            return [[] for _ in requests]
        try:
            return asyncio.run(self._sample(requests, _Law(temperature, top_p, max_new_tokens), report))
        except ExceptionGroup as group:
            raise _first(group) from None

    async def _sample(self, requests: Sequence[Request], law: _Law, report: Report) -> list[list[Sampled]]:
        kept = self._spool.read()
        digests = [self._digest(request, law) for request in requests]
        results: list[list[Sampled]] = [kept.get(digest, []) for digest in digests]
        total = sum(len(request.seeds) for request in requests)
        waiting = iter([place for place, found in enumerate(results) if not found and requests[place].seeds])
        asker = self._asker()
        failures: list[Passing | Refused] = []

        async def work(client: httpx.AsyncClient) -> None:
            for place in waiting:
                results[place] = await self._answers(asker, client, requests[place], law, failures)
                if not any(answer.finish_reason == "error" for answer in results[place]):
                    self._spool.add(digests[place], results[place])
                report(sum(map(len, results)), total)

        async with asker.client(self._settings.concurrency) as client:
            await self._prepare(asker, client, requests, law)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._settings.concurrency, len(requests))):
                    group.create_task(work(client))
        self._judge(results, failures, asker)
        report(total, total)
        return results

    def _judge(self, results: list[list[Sampled]], failures: list[Passing | Refused], asker: Asker) -> None:
        """Raise if every request failed; say how many did."""
        if not failures:
            return
        if all(answer.finish_reason == "error" for answers in results for answer in answers):
            kind = ServerGone if isinstance(failures[0], Passing) else UserError
            raise kind(f"the server at {asker.base_url} answered none of {len(results)} requests: {failures[0]}")
        log.warning("%d requests to %s failed, their completions are errors: %s", len(failures), asker.base_url, failures[0])

    async def _answers(
        self, asker: Asker, client: httpx.AsyncClient, request: Request, law: _Law, failures: list[Passing | Refused]
    ) -> list[Sampled]:
        """One completion per seed: asked again for what is missing, errors in the place of what never comes."""
        owed = len(request.seeds) if law.temperature > 0 else 1  # greedy answers are alike, and some servers refuse to repeat them
        found: list[Sampled] = []
        while len(found) < owed:
            missing = min(owed - len(found), MOST_AT_ONCE)
            try:
                path, body = self._body(request.prompt_ids, _wish(request, len(found)), missing, law)
                came = await asker.ask(client, path, body, lambda reply: choices(self._identified_reply(reply)))
            except (Passing, Refused) as error:
                if isinstance(error, Passing) and error.gone:
                    raise ServerGone(
                        f"the server at {asker.base_url} went away ({error}); the finished answers of this shard are kept: "
                        "start it again with the same model and run the same command"
                    ) from None
                if isinstance(error, Refused) and error.status == 404:
                    raise BadModel(f"the server at {asker.base_url} no longer serves {self._name}: {error}") from None
                failures.append(error)
                found += [_lost() for _ in range(owed - len(found))]
                break
            found += [self._sampled(choice, request.prompt_ids, law, asker) for choice in came[:missing]]
        return found if law.temperature > 0 else found * len(request.seeds)

    def _body(self, prompt_ids: Sequence[int], seed: int, n: int, law: _Law) -> tuple[str, dict[str, Any]]:
        settings = self._settings
        body: dict[str, Any] = {
            "model": self._name,
            "n": n,
            "seed": seed % SEEDS,
            "temperature": law.temperature,
            "top_p": law.top_p,
            "max_tokens": law.max_new_tokens,
            **self._dialect.extras,
        }
        if settings.stop:
            body["stop"] = list(settings.stop)
        if self._dialect.takes_stop_ids:
            body["stop_token_ids"] = list(self._stop_ids)
        if self._endpoint == "chat":
            return "/chat/completions", {**body, "messages": self._messages(prompt_ids), "logprobs": settings.logprobs}
        return "/completions", {**body, "prompt": list(prompt_ids), **({"logprobs": 1} if settings.logprobs else {})}

    def _messages(self, prompt_ids: Sequence[int]) -> list[dict[str, str]]:
        found = self._rendered.get(tuple(prompt_ids))
        if found is None:
            raise UserError("this server takes messages, and a prompt was not rendered from any; use a server that takes token ids")
        return found

    async def _prepare(self, asker: Asker, client: httpx.AsyncClient, requests: Sequence[Request], law: _Law) -> None:
        """Once per engine: the server has the model, and takes token ids or not."""
        if not self._identified:
            await self._identify(asker, client)
            self._identified = True
        if self._endpoint is not None:
            return
        asked = self._settings.endpoint
        self._endpoint = "chat" if asked == "chat" else "completions"
        if asked == "auto":
            path, body = self._body(requests[0].prompt_ids, 0, 1, _Law(law.temperature, law.top_p, 1))
            try:
                await asker.ask(client, path, body, choices)
            except Refused:
                self._endpoint = "chat"
            except Passing as error:
                self._endpoint = None
                raise self._gone_or_useless(asker, error) from None

    async def _identify(self, asker: Asker, client: httpx.AsyncClient) -> None:
        if self._settings.unverified_identity:
            return
        try:
            names = await asker.ask(client, "/models", None, served_names)
        except (Passing, Refused) as error:
            raise self._gone_or_useless(asker, error) from None
        if self.model_id not in names:
            raise BadModel(
                f"the server at {asker.base_url} serves {', '.join(names) or 'nothing'} and not the model {self.model_id}; serve its "
                "folder under that name, or accept what it serves by name: unverified_identity=True, "
                f"served_name='{names[0] if names else 'NAME'}'"
            )

    def _gone_or_useless(self, asker: Asker, error: Passing | Refused) -> RoundhouseError:
        if isinstance(error, Passing) and error.gone:
            return ServerGone(f"no server answers at {asker.base_url} ({error}); start it, or give another base_url")
        return UserError(f"the server at {asker.base_url} does not work as one: {error}")

    def _identified_reply(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The reply, unless it names another model than the one that was asked."""
        named = reply.get("model")
        if isinstance(named, str) and named != self._name and not self._settings.unverified_identity:
            raise BadModel(f"a server that was asked for the model {self._name} answered as {named}")
        return reply

    @property
    def _name(self) -> str:
        return self._settings.served_name or self.model_id

    def _asker(self) -> Asker:
        settings = self._settings
        if settings.command is not None and (self._served is None or self._served is not Served.current or self._served.ended()):
            self._served = Served(settings.command, self._folder.resolve(), self.model_id, settings.ready_seconds)
            self._identified = True
        served = self._served
        patience = Patience(settings.attempts, settings.pause_seconds, settings.timeout_seconds)
        key = os.environ.get(settings.key_variable) or None
        url, ended = (served.base_url, served.ended) if served else (str(settings.base_url), lambda: None)
        return Asker(url, key, settings.key_variable, patience, ended)

    def _sampled(self, choice: Choice, prompt_ids: Sequence[int], law: _Law, asker: Asker) -> Sampled:
        if choice.finish_reason == "error":
            return _lost()
        if choice.prompt_ids is not None:
            contract.check_same_prompt(f"the server at {asker.base_url}", prompt_ids, choice.prompt_ids, self._tokenizer)
        stop = self._settings.stop
        if choice.ids is not None and (choice.finish_reason == "length" or choice.ids[-1] in self._stop_ids or stop):
            figures = self._dialect.law_and_bare(choice.logprobs, law.temperature, law.top_p, len(choice.ids))
            text = before(self.decode(choice.ids), stop) if stop else None  # the ids' own text: they are what is learned
            return Sampled(choice.ids, *figures, None, choice.finish_reason, "engine", text)
        text = asker.without_key(choice.text)
        ends = choice.finish_reason == "stop" and not stop  # with stop strings it is not known which ended it
        ids = self.encode(text) if ends else self._plain(text)
        return Sampled(ids, [], None, None, choice.finish_reason, "retokenised", text)

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _digest(self, request: Request, law: _Law) -> str:
        asked = [self.model_id, self._settings.endpoint, list(self._settings.stop), law.temperature, law.top_p, law.max_new_tokens]
        return seeds.digest([*asked, list(request.prompt_ids), list(request.seeds)])


def _wish(request: Request, place: int) -> int:
    """The seed to send. A server begins its own stream anew, so what continues a completion must not wish for the same one."""
    seed = request.seeds[place]
    return seeds.seed_of(seed, request.start) if request.start else seed


def _lost() -> Sampled:
    return Sampled([], [], None, None, "error", text="")


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    """The first of the exceptions that ended workers side by side."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
