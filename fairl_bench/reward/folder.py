"""A recovered reward is read from its folder, and refused where a part is not the one that it was fitted with.

A reward means nothing on the vectors of another encoder or beside another language model, so the folder carries the
identity of its own and is refused with any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from fairl_bench.component import Component, plain, tuples
from fairl_bench.errors import DataError, FairlError, PluginError, UnknownName
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.upstream import within
from fairl_bench.reward.about import ARRAYS, CORPUS, About, FromPlugin, Made, Served, Start, read_about
from fairl_bench.reward.files import MOST_ARRAYS, MOST_TEXT, check_file, read_arrays, read_corpus, refuse_endless
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.given import METHOD, language_models, starts
from fairl_bench.reward.identity import difference, folder_sha256, identity, lies_there, source
from fairl_bench.values.training import Reward

Find = Callable[[str, str], type[Component]]
"""The class of a part by kind and name."""


def read_reward(
    folder: Path, find: Find, *, encoder: Mapping[str, Any] | None = None, upstream: Mapping[str, str] | None = None
) -> RecoveredReward:
    """The reward of a folder, with the classes that ``find`` knows.

    ``encoder`` has fields of the encoder that differ here, such as the folder of its weights; ``upstream`` the folders
    of the language models that it starts from or that its method reads, by role.  Raises `DataError` where one is not
    that which the reward was fitted on, and `PluginError` for a plugin that is missing or another one.
    """
    description = read_about(folder)
    for plugin in description.plugins:
        _check_plugin(folder, plugin, find)
    for name, expected in description.files.items():
        check_file(folder / name, expected, MOST_ARRAYS if name == ARRAYS else MOST_TEXT)
    method = _built(folder, Method, description.method, find, {})
    built = None if description.encoder is None else _built(folder, Encoder, description.encoder, find, encoder or {})
    _refuse_parts(folder, description, method, built)
    models = language_models(method, built)
    places = {
        role: _place(folder, role, start, models[role], upstream or {}) for role, start in description.upstream.items()
    }
    return RecoveredReward(
        method,
        built,
        Reward(read_arrays(folder / ARRAYS), facts=description.facts),
        description.embed,
        read_corpus(folder / CORPUS) if CORPUS in description.files else (),
        {role: place for role, place in places.items() if not role.startswith(f"{METHOD}/")},
        folder.resolve().name,
        within(METHOD, places),
    )


def _refuse_parts(folder: Path, description: About, method: Method, encoder: Encoder | None) -> None:
    """Refuse a reward whose parts ask for something that it does not hold."""
    if encoder is None and method.reads_vectors:
        raise DataError(f"{folder}: its method {method.use!r} reads vectors, and it names no encoder; copy it again")
    if encoder is not None and encoder.fitted and CORPUS not in description.files:
        raise DataError(f"{folder}: its encoder {encoder.use!r} learns from training texts, and it holds none")
    asked = {f"{METHOD}/{role}" for role in starts(method)} | set(encoder.upstream() if encoder is not None else ())
    if asked != description.upstream.keys():
        named, needs = (", ".join(sorted(each)) or "nothing" for each in (description.upstream.keys(), asked))
        whose = "its method and its encoder start" if starts(method) else "its encoder starts"
        raise DataError(f"{folder}: {whose} from {needs}, and it names {named!r:.100}; copy it again")
    if other := sorted(asked - language_models(method, encoder).keys()):
        raise DataError(f"{folder}: {other[0]!r} of it is no language model, and only a run can make that")


def _check_plugin(folder: Path, plugin: FromPlugin, find: Find) -> None:
    named = plugin.name if plugin.sha256 is None else f"{plugin.name} (SHA-256 {plugin.sha256[:12]}…)"
    for kind, use in plugin.parts:
        try:
            part = find(kind, use)
        except UnknownName as error:
            how = "install it" if plugin.sha256 is None else f"name it with plugins=[{plugin.name!r}], or --plugin"
            raise PluginError(f"{folder}: the {kind} {use!r} of this reward is of plugin {named}; {how}") from error
        if plugin.sha256 is not None and (here := source(part)) != plugin.sha256:
            raise PluginError(
                f"{folder}: the {kind} {use!r} of this reward is of plugin {named}, and the one here has SHA-256 "
                f"{here[:12]}…; name the file that it was recovered with"
            )


P = TypeVar("P", Method, Encoder)


def _built(folder: Path, kind: type[P], made: Made, find: Find, changed: Mapping[str, Any]) -> P:
    """The part of a reward, refused where it is not what it was."""
    spec = {**made.spec, **{name: _placed(value) for name, value in changed.items()}}
    try:
        refuse_endless(spec)
        part = kind.model_validate(tuples(spec), context={"find": find})
        now = plain(identity(part))
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{folder}: its {kind.kind} cannot be built: {first['msg']}") from error
    except Exception as error:  # what a part does with a stranger's fields is its own affair
        reason = str(error) if isinstance(error, FairlError | OSError) else f"{type(error).__name__}: {error}"
        raise DataError(f"{folder}: its {kind.kind} {made.spec['use']!r} cannot be had here: {reason}") from error
    other = difference(plain(made.identity), now)
    if other is not None:
        raise DataError(
            f"{folder}: the reward was fitted with {kind.kind} {made.spec['use']!r} of {other.name} {other.before}, "
            f"and here it is {other.now}; a reward holds for its own {kind.kind} alone"
        )
    return part


def _placed(value: object) -> Any:
    return str(Path(value).resolve()) if isinstance(value, str) and lies_there(value) else value


def _place(folder: Path, role: str, start: Start | Served, model: LM, moved: Mapping[str, str]) -> Path | None:
    """The folder of a language model, None for one that has no files.

    Raises `DataError` where it is gone or another one.
    """
    of_method = role.startswith(f"{METHOD}/")
    needs, own = ("its method reads", f"{role!r}") if of_method else ("its encoder starts from", "encoder")
    if isinstance(start, Served):
        _refuse_another(folder, role, start, model, moved)
        return None
    place = Path(moved.get(role, start.place))
    if not place.is_dir():
        raise DataError(
            f"{folder}: {needs} the language model in {place}, which is gone; say where it lies now with "
            f"upstream={{{role!r}: FOLDER}}, --upstream {role}=FOLDER, or in a suite with models: {{{role}: FOLDER}}"
        )
    if (here := folder_sha256(place)) != start.sha256:
        raise DataError(
            f"{folder}: {needs} a language model of SHA-256 {start.sha256[:12]}…, and the one in "
            f"{place} has {here[:12]}…; a reward holds for its own {own} alone"
        )
    return place


def _refuse_another(folder: Path, role: str, served: Served, model: LM, moved: Mapping[str, str]) -> None:
    """Refuse a language model without files that is another one, or that is looked for in a folder."""
    if role in moved:
        raise DataError(f"{folder}: its language model {role!r} has no files, got {moved[role]!r:.60}; name no folder")
    if (other := difference(plain(served.identity), plain(identity(model)))) is not None:
        raise DataError(
            f"{folder}: its language model {role!r} had {other.name} {other.before}, and here it is {other.now}; a "
            "reward holds for its own language models alone"
        )
