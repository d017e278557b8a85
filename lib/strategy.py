"""What a strategy is: a small frozen settings object with one method, and how it goes to JSON and back.

In JSON a strategy is its settings plus `"strategy": "module:Class"`. Only modules of lib, or of the folder that a
campaign's own recipe was copied to, are ever imported from such a name.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, cast

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
from lib.source import imported

_OURS = ("lib", "tasks", "flows")


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
    """The one folder, beside lib, whose modules strategies may come from; set once per process.

    It is an import finder too: a module of the folder comes from there, never from a file of the same name elsewhere,
    such as the one that a campaign's copy was made of. Names of Python's own and of installed modules stay theirs.
    """

    root: ClassVar[Path | None] = None
    _latest: ClassVar[Path | None] = None
    """The last folder that was allowed: its modules give way to those of the next."""

    @classmethod
    def allow(cls, root: Path | None) -> None:
        """Let strategies be imported from `root` (a campaign's copy of its recipe), or from lib alone when None."""
        cls.root = root.resolve() if root else None
        if cls.root not in (None, cls._latest):
            for name, module in list(sys.modules.items()):
                if cls._latest is not None and _is_from(module, cls._latest / f"{name}.py"):
                    del sys.modules[name]
            cls._latest = cls.root
        if cls not in sys.meta_path:
            sys.meta_path.insert(0, cls)

    @classmethod
    def file_of(cls, module: str) -> Path | None:
        """The file of a module of the folder; None if there is none or if Python would take another module for it."""
        if cls.root is None or "." in module or "/" in module:
            return None
        file = cls.root / f"{module}.py"
        return file if file.is_file() and not _is_taken(module) else None

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """What Python's import asks of a finder."""
        file = cls.file_of(name) if path is None else None
        return spec_from_file_location(name, file) if file else None

    @classmethod
    def module(cls, name: str) -> ModuleType:
        """Import a module of the folder. Raises UserError if its name belongs to another module."""
        file = cls.file_of(name)
        found = imported(name) if file else None
        if file is None or not _is_from(found, file):
            raise UserError(f"{name}.py has the name of a module of Python or of an installed package; rename it")
        return cast(ModuleType, found)


def _is_from(module: object, file: Path) -> bool:
    return getattr(module, "__file__", None) == str(file)


def _is_taken(name: str) -> bool:
    installed = [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    spec = PathFinder.find_spec(name, installed)
    return name in sys.stdlib_module_names or name in _OURS or (spec is not None and spec.origin is not None)


def name_of(cls: type) -> str:
    """`module:Class`, the name under which `load_class` finds it again."""
    return f"{cls.__module__}:{cls.__qualname__}"


def load_class(name: str) -> type[Strategy]:
    """The strategy class of `module:Class`.

    Raises UserError if the module is neither of lib nor of the campaign's own code, or has no such strategy.
    """
    module_name, _, class_name = name.partition(":")
    own = module_name.partition(".")[0] != "lib"
    if own and (UserCode.root is None or not (UserCode.root / f"{module_name}.py").is_file()):
        raise UserError(f"strategy '{name}' is neither in lib nor in the campaign's own recipe; only these are loaded")
    try:
        module = UserCode.module(module_name) if own else imported(module_name)
    except ModuleNotFoundError as error:
        raise UserError(f"strategy '{name}': {error}; is the module spelt right?") from None
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        known = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Strategy) and v is not Strategy]
        raise UnknownName("strategy", class_name, known, f"in {module_name}")
    return found


def in_module(module_name: str, method: str) -> type[Strategy] | None:
    """The strategy of a module: the class that has the module's name in CamelCase and this method; None if there is none."""
    try:
        module = imported(module_name)
    except ModuleNotFoundError:
        return None
    stem = module_name.rpartition(".")[2]
    found = getattr(module, "".join(part.capitalize() for part in stem.split("_")), None)
    return found if isinstance(found, type) and issubclass(found, Strategy) and hasattr(found, method) else None


def load(value: Any) -> Any:
    """A strategy from its JSON form; anything else is returned as it is."""
    if isinstance(value, Mapping) and "strategy" in value:
        return load_class(str(value["strategy"])).model_validate(value)
    return value


AnyStrategy = Annotated[SerializeAsAny[Strategy], BeforeValidator(load)]
"""A field that holds any strategy and survives the round trip through JSON."""
