"""Model folders: the only place that loads one, writes one, or says what one is made of.

A folder of ours holds safetensors weights, `config.json`, `generation_config.json` and the tokenizer's files, and nothing
else: no pickles, no code, no machine paths. JSON has sorted keys, so the bytes are a function of the content.
A PEFT adapter is merged into its base model where it is loaded or imported. Not covered: models that need code of their own.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

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
_HUB_NAME = re.compile(r"(?:hf:)?([\w-][\w.-]*/[\w.-]+)(?:@([\w./-]+))?")
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MERGEABLE = ("LORA", "IA3", "LOHA", "LOKR", "OFT", "BOFT", "VERA")
"""Kinds of adapters that are changes of the weights, so that a whole model can be made of them."""
_TEMPLATE_LINE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}"


def load_model(folder: Path, *, dtype: str, device: str) -> PreTrainedModel:
    """The causal language model of a folder, an adapter merged into its base, in evaluation mode.

    Raises BadModel where transformers does not know its kind.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # a bar of its own would tear the stage's
    if head(folder) is not None:
        raise BadModel(f"model folder {folder} is a classification model, which writes nothing; give its role the engine Classifier()")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            home(folder), dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    except ValueError as error:
        raise BadModel(f"model folder {folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    if base_of(folder) is not None:
        model = _merged(model, folder)
    return cast(Any, model).to(device).eval()


def head(folder: Path) -> Literal["sequence", "token"] | None:
    """What a classification model classifies; None for any other kind of model."""
    named = read_json(home(folder) / "config.json").get("architectures") or [""]
    kinds: dict[str, Literal["sequence", "token"]] = {"ForSequenceClassification": "sequence", "ForTokenClassification": "token"}
    return next((kind for ending, kind in kinds.items() if str(named[0]).endswith(ending)), None)


def load_classifier(folder: Path, *, dtype: str, device: str) -> PreTrainedModel:
    """The classification model of a folder, in evaluation mode. Raises BadModel for another kind, or if weights are missing."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    kind = head(folder)
    if kind is None:
        raise BadModel(f"model folder {folder} is no sequence or token classification model; give one, or another engine to this role")
    opener: Any = AutoModelForSequenceClassification if kind == "sequence" else AutoModelForTokenClassification
    asked: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False}
    model, found = opener.from_pretrained(folder, dtype=getattr(torch, dtype), output_loading_info=True, **asked)
    if missing := sorted(found["missing_keys"]):
        raise BadModel(f"model folder {folder} lacks the weights of {missing[0]}, which would be random; save the whole model again")
    return model.to(device).eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder; an adapter may have one of its own."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(_tokenizer_home(folder), local_files_only=True, trust_remote_code=False)


def home(folder: Path) -> Path:
    """Where a model's configs and weights lie: the folder itself, or that of an adapter's base model."""
    return base_of(folder) or folder


def base_of(folder: Path) -> Path | None:
    """The folder of an adapter's base model, which its config names by path or hub name; None for a whole model.

    Raises BadModel for an adapter that cannot be merged, or whose base is nowhere.
    """
    if not (folder / ADAPTER_CONFIG).is_file() or (folder / "config.json").is_file():
        return None
    config = read_json(folder / ADAPTER_CONFIG)
    name, kind = str(config.get("base_model_name_or_path") or ""), config.get("peft_type")
    if kind not in MERGEABLE:
        raise BadModel(f"{folder} holds an adapter of kind {kind}, which cannot be merged into its base model; give one of {MERGEABLE}")
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise BadModel(f"{folder} has no {ADAPTER_WEIGHTS}; save the adapter again with save_pretrained")
    near = folder / name
    if not name:
        raise BadModel(f"{folder} holds an adapter that names no base model; set base_model_name_or_path in {ADAPTER_CONFIG}")
    try:
        base = near if near.is_dir() else find(f"{name}@{config['revision']}" if config.get("revision") else name)
    except BadModel as error:
        raise BadModel(f"the base model of the adapter in {folder}: {error}") from None
    _refuse(base)
    return base


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
    """Copy a model folder, or a model of the Hugging Face hub, into `out` in normalised form; an adapter is merged first.

    Raises BadModel, before anything is written, where the source cannot be used as it is.
    """
    folder = find(str(source))
    if base_of(folder) is not None:
        _import_adapter(folder, out)
        return
    _refuse(folder)
    out.mkdir(parents=True, exist_ok=True)
    for path in [*_files(folder, weights_and_configs=True), *_files(folder, weights_and_configs=False)]:
        shutil.copyfile(path, out / path.name)
    _normalise(out)


def identity(folder: Path, gone: Mapping[str, str] | None = None) -> dict[str, str]:
    """sha256 of what a result can depend on: weights, tokenizer, chat_template and config, each apart from the others.

    `gone` has the sha256 of weights that are not there any more.
    """
    weights = {name: sha for name, sha in (gone or {}).items() if WEIGHTS.fullmatch(name)}
    weights |= {path.name: sha256_of(path) for path in _files(folder, weights_and_configs=True) if path.suffix == ".safetensors"}
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
    for named in reversed(named_stops(folder).values()):
        if named:
            return named
    raise BadModel(f"model folder {folder} names no eos_token_id in generation_config.json or config.json; set it and save again")


def named_stops(folder: Path) -> dict[str, tuple[int, ...]]:
    """The end-of-text tokens that each config of a model names."""
    return {name: _eos_of(home(folder) / name) for name in CONFIGS}


def end_of_turn(tokenizer: PreTrainedTokenizerBase, stops: Iterable[int]) -> int | None:
    """The stop token with which the chat template ends an assistant's turn; None where it ends with another.

    White space after it, as some templates write, is passed over.
    """
    messages = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
    rendered = cast("list[int]", tokenizer.apply_chat_template(messages, return_dict=False))
    while rendered and not str(tokenizer.decode(rendered[-1:])).strip():
        rendered = rendered[:-1]
    return rendered[-1] if rendered and rendered[-1] in set(stops) else None


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


def find(source: str) -> Path:
    """The folder of a model: a path, or `hf:OWNER/NAME@REVISION`, which is downloaded where the network allows.

    Raises BadModel where there is none.
    """
    if Path(source).expanduser().is_dir():
        return Path(source).expanduser()
    named = _HUB_NAME.fullmatch(source)
    if not named:
        raise BadModel(f"there is no model folder '{source}'; give a folder written by save_pretrained, or hf:OWNER/NAME@REVISION")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    wanted = ["model*.safetensors", INDEX, *CONFIGS, *TOKENIZER, ADAPTER_CONFIG, ADAPTER_WEIGHTS]
    try:
        return Path(snapshot_download(named[1], revision=named[2], allow_patterns=wanted))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise BadModel(
            f"there is no model folder '{source}', and the hub has none of that name or cannot be reached; "
            "give a folder written by save_pretrained, or a hub name while the network is up"
        ) from error


def _tokenizer_home(folder: Path) -> Path:
    return folder if any((folder / name).is_file() for name in VOCABULARIES) else home(folder)


def _merged(base: Any, adapter: Path) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(base, str(adapter), local_files_only=True).merge_and_unload()


def _import_adapter(folder: Path, out: Path) -> None:
    """Merged in float32, written in the base model's own number format."""
    import torch

    config = read_json(home(folder) / "config.json")
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    model = load_model(folder, dtype="float32", device="cpu").to(getattr(torch, dtype))
    save(model, _tokenizer_home(folder), out)


def _refuse(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
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
    if not chat_template(folder) and head(folder) is None:
        raise BadModel(
            f"the tokenizer in {folder} has no chat template; set one and save it again, "
            f"such as: tokenizer.chat_template = \"{_TEMPLATE_LINE}\"; tokenizer.save_pretrained('{folder}')"
        )
