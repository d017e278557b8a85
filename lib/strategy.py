"""What a strategy is: a small frozen settings object with one method, and how it goes to JSON and back.

In JSON a strategy is its settings plus `"strategy": "module:Class"`. Only modules of lib, or of the folder that a
campaign's own recipe was copied to, are ever imported from such a name.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from lib.errors import UnknownName, UserError


class Settings(BaseModel):
    """Frozen settings that refuse an unknown name and say the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for name in values:
                if name not in cls.model_fields:
                    raise UnknownName("setting", str(name), cls.model_fields, f"on {cls.__name__}")
        return values


class Strategy(Settings):
    """One way of doing a stage: its settings are its fields, its work is its one method."""

    @model_validator(mode="before")
    @classmethod
    def _drop_tag(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "strategy" in values:
            return {name: value for name, value in values.items() if name != "strategy"}
        return values

    @model_serializer(mode="wrap")
    def _with_tag(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"strategy": name_of(type(self)), **handler(self)}


class UserCode:
    """The one folder, beside lib, whose modules strategies may come from; set once per process."""

    root: ClassVar[Path | None] = None

    @classmethod
    def allow(cls, root: Path | None) -> None:
        """Let strategies be imported from `root` (a campaign's copy of its recipe), or from lib alone when None."""
        if cls.root is not None and str(cls.root) in sys.path:
            sys.path.remove(str(cls.root))
        cls.root = root.resolve() if root else None
        if cls.root is not None:
            for name, module in list(sys.modules.items()):
                if (cls.root / f"{name}.py").exists() and not _inside(module, cls.root):
                    del sys.modules[name]
            sys.path.append(str(cls.root))
            importlib.invalidate_caches()


def _inside(module: Any, root: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(root)


def name_of(cls: type) -> str:
    """`module:Class`, the name under which `load_class` finds it again."""
    return f"{cls.__module__}:{cls.__qualname__}"


def load_class(name: str) -> type[Strategy]:
    """The strategy class of `module:Class`.

    Raises UserError if the module is neither of lib nor of the campaign's own code, or has no such strategy.
    """
    module_name, _, class_name = name.partition(":")
    if module_name != "lib" and not module_name.startswith("lib."):
        root = UserCode.root
        if root is None or not (root / f"{module_name}.py").is_file():
            raise UserError(f"strategy '{name}' is neither in lib nor in the campaign's own recipe; only these are loaded")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(f"strategy '{name}': {error}; is the module spelt right?") from None
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        known = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Strategy) and v is not Strategy]
        raise UnknownName("strategy", class_name, known, f"in {module_name}")
    return found


def load(value: Any) -> Any:
    """A strategy from its JSON form; anything else is returned as it is."""
    if isinstance(value, Mapping) and "strategy" in value:
        return load_class(str(value["strategy"])).model_validate(value)
    return value


AnyStrategy = Annotated[SerializeAsAny[Strategy], BeforeValidator(load)]
"""A field that holds any strategy and survives the round trip through JSON."""
