"""Model folders: the only place that loads one, writes one, or says what one is made of.

A folder of ours holds safetensors weights, `config.json`, `generation_config.json` and the tokenizer's files, and nothing
else: no pickles, no code, no machine paths. JSON has sorted keys, so the bytes are a function of the content.
Not covered: adapters (merge them into their base model first) and models that need code of their own.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lib import seeds
from lib.errors import BadModel
from lib.files import read_json, sha256_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONFIGS = ("config.json", "generation_config.json")
TOKENIZER_CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
)
TOKENIZER = (TOKENIZER_CONFIG, TEMPLATE, *VOCABULARIES, "merges.txt", "added_tokens.json", "special_tokens_map.json")
WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
INDEX = "model.safetensors.index.json"

_NORMALISED = (*CONFIGS, INDEX, TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json")
_PATHS = ("_name_or_path", "name_or_path", "tokenizer_file", "vocab_file")
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_TEMPLATE_LINE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}"


def load_model(folder: Path, *, dtype: str, device: str) -> PreTrainedModel:
    """The causal language model of a folder, in evaluation mode; BadModel where transformers does not know its kind."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # a bar of its own would tear the stage's
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    except ValueError as error:
        raise BadModel(f"model folder {folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    return cast(Any, model).to(device).eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def save(model: PreTrainedModel, tokenizer_from: Path, out: Path) -> None:
    """Write a model and, byte for byte, the tokenizer of another folder, in normalised form."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".saving-") as aside:
        model.save_pretrained(aside)
        for path in _files(Path(aside), weights_and_configs=True):
            path.replace(out / path.name)
    for path in _files(tokenizer_from, weights_and_configs=False):
        shutil.copyfile(path, out / path.name)
    _normalise(out)


def import_folder(source: str | Path, out: Path) -> None:
    """Copy a model folder, or a model of the Hugging Face hub, into `out` in normalised form.

    Raises BadModel, before anything is written, where the source cannot be used as it is.
    """
    folder = _find(str(source))
    _refuse(folder)
    out.mkdir(parents=True, exist_ok=True)
    for path in [*_files(folder, weights_and_configs=True), *_files(folder, weights_and_configs=False)]:
        shutil.copyfile(path, out / path.name)
    _normalise(out)


def identity(folder: Path) -> dict[str, str]:
    """sha256 of what a result can depend on: weights, tokenizer, chat_template and config, each apart from the others."""
    weights = {path.name: sha256_of(path) for path in _files(folder, weights_and_configs=True) if path.suffix == ".safetensors"}
    tokenizer = {path.name: sha256_of(path) for path in _files(folder, weights_and_configs=False) if path.name != TEMPLATE}
    if TOKENIZER_CONFIG in tokenizer:
        settings = read_json(folder / TOKENIZER_CONFIG)
        tokenizer[TOKENIZER_CONFIG] = seeds.digest({k: v for k, v in settings.items() if k != "chat_template"})
    configs = {name: read_json(folder / name) for name in CONFIGS if (folder / name).is_file()}
    parts = {"weights": weights, "tokenizer": tokenizer, "chat_template": chat_template(folder), "config": configs}
    return {name: seeds.digest(part) for name, part in parts.items()}


def chat_template(folder: Path) -> Any:
    """The chat template, from whichever of its two homes it is stored in; None where there is none."""
    if (folder / TEMPLATE).is_file():
        return (folder / TEMPLATE).read_text(encoding="utf-8")
    config = folder / TOKENIZER_CONFIG
    return read_json(config).get("chat_template") if config.is_file() else None


def stop_ids(folder: Path) -> tuple[int, ...]:
    """The tokens that end an answer: those of generation_config.json, or of config.json where that names none."""
    for name in reversed(CONFIGS):
        named = _eos_of(folder / name)
        if named:
            return named
    raise BadModel(f"model folder {folder} names no eos_token_id in generation_config.json or config.json; set it and save again")


def end_of_turn(tokenizer: PreTrainedTokenizerBase, stops: Iterable[int]) -> int | None:
    """The stop token with which the chat template ends an assistant's turn; None where it ends with another.

    White space after it, as some templates write, is passed over.
    """
    messages = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
    rendered = cast("list[int]", tokenizer.apply_chat_template(messages, return_dict=False))
    while rendered and not str(tokenizer.decode(rendered[-1:])).strip():
        rendered = rendered[:-1]
    return rendered[-1] if rendered and rendered[-1] in set(stops) else None


def check_contract(folder: Path) -> None:
    """Raise BadModel unless tokenizer, configs and chat template agree on how an answer begins and ends."""
    tokenizer = load_tokenizer(folder)
    eos = tokenizer.eos_token_id
    for name in CONFIGS:
        named = _eos_of(folder / name)
        if named and eos not in named:
            raise BadModel(f"{folder}: the tokenizer ends text with token {eos} and {name} with {list(named)}; make eos_token_id agree")
    user = [{"role": "user", "content": "1"}]
    prompt = str(tokenizer.apply_chat_template(user, tokenize=False, add_generation_prompt=True))
    whole = str(tokenizer.apply_chat_template([*user, {"role": "assistant", "content": "2"}], tokenize=False))
    if not whole.startswith(prompt):
        raise BadModel(
            f"{folder}: the chat template renders a question as {prompt!r} and the question with its answer as {whole!r}; "
            "the second must begin with the first, or training would see other prompts than sampling"
        )
    stops = stop_ids(folder)
    if end_of_turn(tokenizer, stops) is None:
        names = tokenizer.convert_ids_to_tokens(list(stops))
        raise BadModel(
            f"{folder}: the chat template renders a question as {prompt!r} and the question with its answer as {whole!r}, "
            f"which must end with one of the stop tokens {names}; write eos_token after an assistant's message"
        )


def _eos_of(config: Path) -> tuple[int, ...]:
    named = read_json(config).get("eos_token_id") if config.is_file() else None
    if named is None:
        return ()
    return tuple(named) if isinstance(named, list) else (named,)


def _files(folder: Path, *, weights_and_configs: bool) -> list[Path]:
    """The files of a folder that belong to a model: weights and configs, or else the tokenizer's."""

    def belongs(name: str) -> bool:
        return bool(WEIGHTS.fullmatch(name)) or name in (*CONFIGS, INDEX) if weights_and_configs else name in TOKENIZER

    return sorted(path for path in folder.iterdir() if path.is_file() and belongs(path.name))


def _normalise(folder: Path) -> None:
    for name in _NORMALISED:
        if (folder / name).is_file():
            values = {key: value for key, value in read_json(folder / name).items() if key not in _PATHS}
            (folder / name).write_text(json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _find(source: str) -> Path:
    if Path(source).is_dir():
        return Path(source)
    if not _HUB_NAME.fullmatch(source):
        raise BadModel(f"there is no model folder '{source}'; give a folder written by save_pretrained")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        wanted = ["model*.safetensors", INDEX, *CONFIGS, *TOKENIZER]
        return Path(snapshot_download(source, allow_patterns=wanted))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise BadModel(
            f"there is no model folder '{source}', and the hub has none of that name or cannot be reached; "
            "give a folder written by save_pretrained, or a hub name while the network is up"
        ) from error


def _refuse(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    if "config.json" not in names and "adapter_config.json" in names:
        raise BadModel(f"{folder} holds an adapter; merge it into its base model (merge_and_unload), save that and give its folder")
    if "config.json" not in names:
        raise BadModel(f"{folder} has no config.json; give a folder written by save_pretrained")
    if not any(WEIGHTS.fullmatch(name) for name in names):
        pickled = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
        what = f"only pickled weights ({pickled[0]}), which are never loaded" if pickled else "no model.safetensors"
        raise BadModel(f"{folder} has {what}; load the model where you trust it and save it again with save_pretrained")
    listed = set(read_json(folder / INDEX)["weight_map"].values()) if INDEX in names else set()
    if missing := sorted(listed - names):
        raise BadModel(f"{folder} lacks {missing[0]}, which {INDEX} names; copy the whole folder again")
    if names.isdisjoint(VOCABULARIES):
        raise BadModel(f"{folder} has no tokenizer; save it beside the model with tokenizer.save_pretrained('{folder}')")
    if not chat_template(folder):
        raise BadModel(
            f"the tokenizer in {folder} has no chat template; set one and save it again, "
            f"such as: tokenizer.chat_template = \"{_TEMPLATE_LINE}\"; tokenizer.save_pretrained('{folder}')"
        )
