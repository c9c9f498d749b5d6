"""What every part is: a frozen class whose typed fields are its hyper-parameters, named in YAML by ``use:``.

A spec is the same as plain data: ``{"use": "max-margin", "margin": 0.8}``.  Specs are sent to other processes and go
into keys; components are not.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from fairl_bench.errors import FairlError, PluginError, suggest

Spec = Mapping[str, Any]


class _Marker:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


RunTime = _Marker("RunTime")
"""``Annotated[int, RunTime]``: a field that changes how the answer is computed but not the answer; not in the key."""

Secret = _Marker("Secret")
"""``Annotated[str, Secret]``: a field that is in no key; the name of its variable is written in its place."""


class PathText(str):
    """A text from a file, with the folder that a relative path in it starts from.

    ``raw`` is the text in the file; in ``written`` every variable is replaced, except those that hold secrets.
    """

    __slots__ = ("folder", "raw", "written")
    folder: Path
    raw: str
    written: str


def _absolute(value: object) -> Any:
    return str(value.folder / value) if isinstance(value, PathText) and value else value


class FilePath(str):
    """The path of an input file or folder; keys contain the digest of its content."""

    __slots__ = ()


DataFile = Annotated[str, BeforeValidator(_absolute), StringConstraints(min_length=1), AfterValidator(FilePath)]
"""A path of an input file, relative to the suite: its content is in the key, its name is not."""


NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
"""What a suite calls something: it can stand in the name of a file and on a command line."""


class Settings(BaseModel):
    """Frozen, strictly typed values: no unknown field, no bool taken for a number, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, value: object) -> Any:
        """Refuse an unknown field, with similar names; turn lists into tuples."""
        if not isinstance(value, Mapping):
            return value
        known = set(cls.model_fields) | {"use"}
        for name in value:
            if name not in known:
                reason = f"unknown field {str(name)!r}; {suggest(str(name), known)}"
                raise PydanticCustomError("unknown_field", "{reason}", {"reason": reason, "field": name})
        return tuples(value)

    def plain(self) -> dict[str, Any]:
        """The settings as plain data, with every default."""
        return {name: plain(getattr(self, name)) for name in type(self).model_fields}


class Component(Settings):
    """A part that a suite can name.  Subclass a kind (`fairl_bench.kinds`), not this."""

    kind: ClassVar[str] = ""
    named_by_place: ClassVar[bool] = False
    """Whether a suite names it by the key that it stands under, so that its settings have no ``use:``."""
    drawn: ClassVar[bool] = False
    """Whether each replicate gives another answer (a drawn world) or the same one (a file)."""
    _use: str = PrivateAttr("")

    @model_validator(mode="wrap")
    @classmethod
    def _from_spec(cls, value: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Build the part that ``{"use": name, ...}`` names, where the type of a field is a kind."""
        if not isinstance(value, Mapping) or "use" not in value:
            if isinstance(value, Mapping) and inspect.isabstract(cls):
                raise PydanticCustomError("no_use", f"names no {cls.kind}: add 'use: NAME'")
            return handler(value)
        find = (info.context or {}).get("find")
        if find is None:
            raise PydanticCustomError("no_registry", "a spec needs a registry: build it with Registry.build")
        if not isinstance(value["use"], str):
            reason = f"'use' needs a name, got {value['use']!r}"
            raise PydanticCustomError("unknown_name", "{reason}", {"reason": reason})
        try:
            found = find(cls.kind, value["use"])
        except PluginError as error:
            raise PydanticCustomError("unknown_name", "{reason}", {"reason": str(error)}) from error
        fields = {name: entry for name, entry in value.items() if name != "use"}
        if not issubclass(found, cls):
            reason = f"needs a {cls.__name__}, which {cls.kind} {value['use']!r} is not"
            raise PydanticCustomError("unknown_name", "{reason}", {"reason": reason})
        try:
            built: Self = found.model_validate(fields, context=info.context)
        except (ValidationError, FairlError):
            raise
        except Exception as error:  # raised by a part's own validator, for values that it does not expect
            reason = f"{cls.kind} {value['use']!r} cannot be made of these values: {type(error).__name__}: {error}"
            raise PydanticCustomError("unknown_name", "{reason}", {"reason": reason}) from error
        built._use = value["use"]
        return built

    @classmethod
    def named(cls, use: str, **fields: object) -> Self:
        """A part made in Python as a suite makes it; ``use`` is its registered name."""
        built = cls(**fields)
        built._use = use
        return built

    @property
    def use(self) -> str:
        """The name under which it was built; empty for one made in Python."""
        return self._use

    def plain(self) -> dict[str, Any]:
        """The spec that builds this part again, with every default."""
        return {"use": self._use, **super().plain()}

    def reads(self) -> dict[str, str]:
        """The SHA-256, by name, of everything that the answer depends on beside the fields: files, weights, commits.

        The content of every `DataFile` field is in the key anyway.
        """
        return {}

    def upstream(self) -> Mapping[str, Settings]:
        """What this part starts from, by role: other parts, or completions (`kinds.Ask`).

        Each is a stage of its own, which is done once and shared.
        """
        return {}

    def starts(self) -> Mapping[str, Settings]:
        """All that its stage starts from: its `upstream`, and that of a part that works in the same stage."""
        return self.upstream()

    def draws(self) -> bool:
        """Whether each replicate gives another answer, by itself or because of what it starts from."""
        return self.drawn or any(not isinstance(start, Component) or start.draws() for start in self.starts().values())

    def check(self) -> None:
        """Check, before the work, whether it can be done: files exist, columns are in them.  Raises `FairlError`."""

    def remarks(self) -> Sequence[str]:
        """Sentences for the user that ``fairl-bench check`` shows; called after `check`."""
        return ()

    @classmethod
    def help(cls) -> str:
        """The first line of the class's docstring."""
        return inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]


_SIMPLE = {str, int, float, bool, type(None)}


def plain(value: object) -> Any:
    """Settings, tuples and mappings as dicts and lists, as in JSON and YAML."""
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, Settings):
        return value.plain()
    if isinstance(value, SecretStr):  # a worker needs it
        return value.get_secret_value()
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: plain(entry) for name, entry in value.items()}
    return value


def tuples(value: object) -> Any:
    """The same data with every list a tuple, as frozen parts hold them.

    >>> tuples({"data": ["a", ["b"]]})
    {'data': ('a', ('b',))}
    """
    if type(value) in _SIMPLE:  # as most values are; a large product has very many
        return value
    if isinstance(value, list | tuple):
        return tuple(tuples(entry) for entry in value)
    if isinstance(value, Mapping):
        return {name: tuples(entry) for name, entry in value.items()}
    return value


def parts_within(value: object) -> Iterator[Component]:
    """Every part in a value, the inner ones first."""
    if isinstance(value, Settings):
        for name in type(value).model_fields:
            yield from parts_within(getattr(value, name))
        if isinstance(value, Component):
            yield value
    elif isinstance(value, Mapping):
        yield from parts_within(tuple(value.values()))
    elif isinstance(value, tuple):
        for entry in value:
            yield from parts_within(entry)
