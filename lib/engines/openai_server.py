"""Tokens from any server that speaks the OpenAI API: vLLM, SGLang, llama.cpp, or a hosted one.

    OpenaiServer(command="vllm serve {folder} --served-model-name {digest} --host 127.0.0.1 --port {port}")
    OpenaiServer(base_url="http://gpu7:8000/v1")                  a running server; it must list the model's digest
    OpenaiServer(base_url="https://api.openai.com/v1", server="openai", unverified_identity=True, served_name="gpt-4o-mini")

Prompts go to /v1/completions as token ids where the server takes them: what it sees is then what training will see. Else
they go to /v1/chat/completions, through the server's own template. Where it returns no token ids, its text is tokenised by
the model folder's tokenizer and the rows say `retokenised`. A request that fails for good becomes a completion with
finish_reason `error`; if all fail, the stage does.

What enters a content key: kind of server, command, endpoint, stop strings, whether log-probabilities are asked for, and
the served name of an unverified model. Not the address, the key's variable, concurrency, patience: they do not change the
law. A command enters whole, for its flags do (--dtype, --quantization). Nothing here comes out the same twice: servers
batch as they like, so that `seed` is only a wish; rows record what came.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from lib.datafile import Unkeyed
from lib.engines.dialects import Kind
from lib.engines.serving import checked_command
from lib.errors import UserError
from lib.protocols import Engine, Machine
from lib.strategy import Strategy


class OpenaiServer(Strategy):
    """A model server, started here by a command or running at an address."""

    reproducible: ClassVar[bool] = False
    continues: ClassVar[bool] = True

    command: str | None = None
    """How to start a server here: {folder}, {digest} and {port} are filled in; no shell reads it. Ended with the work."""
    base_url: Annotated[str | None, Unkeyed()] = None
    """Address of a running server instead, such as http://gpu7:8000/v1."""
    server: Kind = "vllm"
    """What kind it is; `openai` for any that is not named."""
    endpoint: Literal["auto", "completions", "chat"] = "auto"
    """`completions` sends token ids, `chat` messages; `auto` the former where the server takes them."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion; the text ends before them."""
    logprobs: bool = True
    """Ask for log-probabilities; some hosted models refuse to be asked."""
    unverified_identity: bool = False
    """Take the server's word that it serves `served_name`: rows then name the model `unverified:NAME`."""
    served_name: str | None = None
    """The model's name at a server that does not know it by its digest."""
    key_variable: Annotated[str, Unkeyed()] = "OPENAI_API_KEY"
    """The environment variable that holds the key, if the server wants one."""
    concurrency: Annotated[int, Field(ge=1), Unkeyed()] = 32
    """Requests on their way at once; each asks for all completions of one prompt."""
    attempts: Annotated[int, Field(ge=1), Unkeyed()] = 8
    """How often one request is made before it counts as failed."""
    pause_seconds: Annotated[float, Field(gt=0), Unkeyed()] = 0.5
    """The pause before the second attempt; each further one is twice as long, up to a minute."""
    timeout_seconds: Annotated[float, Field(gt=0), Unkeyed()] = 600.0
    """How long one answer may take."""
    ready_seconds: Annotated[float, Field(gt=0), Unkeyed()] = 900.0
    """How long a server of `command` may take to start."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else address(value)

    @field_validator("command")
    @classmethod
    def _command(cls, value: str | None) -> str | None:
        return None if value is None else checked_command(value)

    @model_validator(mode="after")
    def _one_server(self) -> OpenaiServer:
        if (self.command is None) == (self.base_url is None):
            raise UserError("OpenaiServer needs either a command that starts a server or the base_url of a running one; set exactly one")
        if self.unverified_identity != (self.served_name is not None) or (self.unverified_identity and self.command):
            raise UserError(
                "OpenaiServer: unverified_identity=True and served_name go together, for a server at base_url that does not know "
                "the model by its digest; set both or neither"
            )
        return self

    def open(self, model: Path, model_id: str, machine: Machine) -> Engine:
        """The engine; the model folder's tokenizer is loaded now, a server is started when first asked."""
        from lib.engines.server_engine import ServerEngine

        return ServerEngine(self, model, f"unverified:{self.served_name}" if self.unverified_identity else model_id)


def address(value: str) -> str:
    """A server's address in one spelling. Raises UserError where it is none, or holds a password, which it never shows."""
    parts = urlsplit(value)
    if parts.username or parts.password or parts.query:
        raise UserError(
            "base_url holds a name, a password or a query, which would be written down; put the key into key_variable's variable"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"base_url '{value}' is no address of a server; give one such as http://localhost:8000/v1")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"
