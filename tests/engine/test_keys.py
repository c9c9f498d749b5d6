from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from fairl_bench.component import Component, DataFile, RunTime, Settings
from fairl_bench.digests import canonical, digest, file_digest
from fairl_bench.engine import keys
from fairl_bench.engine.keys import identity, stage_key
from fairl_bench.engine.planner import plan
from fairl_bench.errors import DataError
from fairl_bench.kinds import KINDS
from fairl_bench.kinds.method import Method
from fairl_bench.suite import part_digest
from fairl_bench.suite.part_digest import source_digest
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry

REGISTRY = Registry(installed=False)
NO_WORK = {"table", "figure", "panel", "executor"}  # kinds that no stage is made of
PARTS = [(kind, name) for kind in KINDS if kind not in NO_WORK for name in REGISTRY.names(kind)]


# --- canonical JSON and golden keys


def test_canonical_json_sorts_keys_and_spends_no_space() -> None:
    assert canonical({"b": [1, 2.5], "a": {"z": None, "y": "é"}}) == '{"a":{"y":"é","z":null},"b":[1,2.5]}'


def test_canonical_json_tells_a_whole_float_from_an_integer() -> None:
    assert canonical([1, 1.0, 1e-3, 1e22]) == "[1,1.0,0.001,1e+22]"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        canonical({"a": value})


def test_the_digest_is_the_sha256_of_canonical_json() -> None:
    # sha256sum of the nine bytes {"a":"b"}
    assert digest({"a": "b"}) == "db4a7ecb114bc66c623a06c4ff6fe8daa2f49cc270ebbf7a1f81e22ab061c837"


def test_golden_keys() -> None:
    """These may change only together with ``keys.SCHEMA``: every artefact anyone has is lost otherwise."""
    assert stage_key("split", {}, {}, {}) == "7d20b3204d3a73458d7fdabd42b998c8a1a21b57ee571e6532be3a69d9c6631f"
    assert (
        stage_key("reward", {"method": {"use": "m", "fields": {"a": 1.5}}}, {"seed": None}, {"pairs": "ab"})
        == "0035088423860082af18e2e9b2bcd16b59a6baea8a0b5f47210dee028ac4963e"
    )


def test_every_argument_of_a_stage_key_is_in_it() -> None:
    made = {
        stage_key("a", {}, {}, {}),
        stage_key("b", {}, {}, {}),
        stage_key("a", {"x": 1}, {}, {}),
        stage_key("a", {}, {"x": 1}, {}),
        stage_key("a", {}, {}, {"x": "1"}),
    }
    assert len(made) == 5


def test_another_schema_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = stage_key("a", {}, {}, {})
    monkeypatch.setattr(keys, "SCHEMA", keys.SCHEMA + 1)
    assert stage_key("a", {}, {}, {}) != before


# --- every field of every built-in part


SERVED = {"use": "completions-api", "url": "http://a/v1", "model": "m", "api_key_env": "KEY", "server": "vllm"}
SIMPLEST: dict[str, dict[str, Any]] = {
    "source": {"use": "toy-comments"},
    "testset": {"use": "toy-comments"},
    "prompts": {"use": "toy-prompts"},
    "lm": SERVED,
    "judge": {"use": "toy-truth"},
    "encoder": {"use": "tfidf"},
    "method": {"use": "max-entropy"},
    "detector": {"use": "bottom-fraction"},
    "schedule": {"use": "constant", "value": 0.5},
    "evaluator": {"use": "fidelity", "data": ["pairs/test"]},
}


def sample(kind: str, name: str, folder: Path) -> dict[str, Any]:
    """A spec of a part with its required fields alone."""
    if SIMPLEST[kind]["use"] == name:
        return SIMPLEST[kind]
    if name == "hub-prompts" or name == "jsonl-prompts":  # bounds need a score to bound
        bounds = {"score": "s", "above": 0.5}
        return {**plainly(kind, name, folder), **bounds}
    if name == "jsonl-texts":  # without labels it cannot be asked for so many of each
        return {**plainly(kind, name, folder), "gold": {"column": "toxic", "good": 0}}
    if name == "similar-to":  # an encoder that is fitted is refused
        return {**plainly(kind, name, folder), "encoder": {"use": "sentence-transformer"}}
    return plainly(kind, name, folder)


def plainly(kind: str, name: str, folder: Path) -> dict[str, Any]:
    part = REGISTRY.find(kind, name)
    required = {field: info for field, info in part.model_fields.items() if info.is_required()}
    return {"use": name, **{field: needed(info.annotation, info, folder) for field, info in required.items()}}


def is_file(info: FieldInfo) -> bool:
    return get_args(DataFile)[1] in info.metadata


def is_fixed(info: FieldInfo) -> bool:
    """Whether one value alone is legal."""
    return get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1


def needed(annotation: Any, info: FieldInfo | None, folder: Path) -> Any:
    if info is not None and is_file(info):
        path = folder / "input.jsonl"
        path.write_text("{}\n")
        return str(path)
    if isinstance(annotation, type) and issubclass(annotation, Component):
        return SIMPLEST[annotation.kind]
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        fields = annotation.model_fields.items()
        return {name: needed(field.annotation, field, folder) for name, field in fields if field.is_required()}
    return next(candidates(annotation, None))


def candidates(annotation: Any, value: Any) -> Iterator[Any]:
    """Other values of a type, nearest first; some may be out of a field's bounds."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from candidates(arguments[0], value)
    elif origin is Literal:
        yield from (option for option in arguments if option != value)
    elif origin in (Union, types.UnionType):
        if value is not None and type(None) in arguments:
            yield None
        for arm in arguments:
            if arm is not type(None):
                yield from candidates(arm, value)
    elif annotation is bool:
        yield value is not True
    elif annotation in (int, float):
        start = value if isinstance(value, int | float) else 1
        yield from (annotation(start + step) for step in (1, -1, 10, -10, start))
        if annotation is float:
            yield from (start + 0.125, start - 0.125, start * 0.5)
    elif annotation is str:
        yield f"{value or 'pairs/test'}x"
        yield from ("gold:x", "preferred")  # where it is the name of a truth
    elif origin is tuple:
        if arguments[-1] is not ...:
            entries = value or (None,) * len(arguments)
            yield tuple(next(candidates(*one)) for one in zip(arguments, entries, strict=True))
        before = value if isinstance(value, tuple) else ()
        yield from ((*before, entry) for entry in candidates(arguments[0], None))
    elif origin in (dict, Mapping):
        keys = [key.replace("/", "-").replace(":", "-") for key in candidates(arguments[0], None)]  # as a name may be
        shares = arguments[1] is float
        made = {key: 1 / len(keys) if shares else next(candidates(arguments[1], None)) for key in keys}
        yield made
        kept = value if isinstance(value, Mapping) else {}
        for key, entry in kept.items():  # under names that another field may know
            yield from ({**kept, key: other} for other in candidates(arguments[1], entry))
        yield {f"{key}-2": entry for key, entry in made.items()}
    elif isinstance(annotation, type) and issubclass(annotation, Settings) and not issubclass(annotation, Component):
        yield needed(annotation, None, Path())
    elif isinstance(annotation, type) and issubclass(annotation, Component):
        yield SIMPLEST[annotation.kind]
        for name in REGISTRY.names(annotation.kind):
            if name != getattr(value, "use", "") and not any(map(is_file, fields_of(annotation.kind, name))):
                yield sample(annotation.kind, name, Path())
        if isinstance(value, Component):  # or the same part with another value in a field
            for name, changed in perturbed(value, lambda spec: REGISTRY.build(KINDS[value.kind], spec)):
                if RunTime not in type(value).model_fields[name.partition(".")[0]].metadata:
                    yield changed.plain()


def fields_of(kind: str, name: str) -> list[FieldInfo]:
    return list(REGISTRY.find(kind, name).model_fields.values())


def perturbed(part: Settings, build: Callable[[dict[str, Any]], Settings]) -> Iterator[tuple[str, Settings]]:
    """The part with one field changed, for every field but files, and for every field of what is nested in it."""
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if is_file(info):
            continue
        if isinstance(value, Settings) and not isinstance(value, Component):
            made = partial(type(value).model_validate, context=REGISTRY.context())
            for inner, changed in perturbed(value, made):
                if whole := attempt(build, {**part.plain(), name: changed.plain()}):
                    yield f"{name}.{inner}", whole
            continue
        options = list(candidates(info.annotation, value))
        tried = (attempt(build, {**part.plain(), name: option}) for option in options)
        built = next((one for one in tried if one is not None and one != part), None)
        if built is None:
            # a field of one legal value has nothing to be changed to
            assert get_origin(info.annotation) is Literal, f"no other value of {name}: teach `candidates` its type"
            assert not options
            continue
        yield name, built


def attempt(build: Callable[[dict[str, Any]], Settings], spec: dict[str, Any]) -> Settings | None:
    try:
        return build(spec)
    except ValidationError:
        return None


@pytest.fixture(params=PARTS, ids="-".join)
def part(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Component:
    kind, name = request.param
    # fields alone are perturbed here: no weights are looked for under a perturbed name
    for one in PARTS:
        monkeypatch.setattr(REGISTRY.find(*one), "reads", lambda self: {})
    return REGISTRY.build(KINDS[kind], sample(kind, name, tmp_path))


def test_another_value_of_any_field_is_another_identity_unless_it_is_run_time(part: Component) -> None:
    def build(spec: dict[str, Any]) -> Settings:
        return REGISTRY.build(KINDS[part.kind], spec)

    before, tried = digest(identity(part, REGISTRY)), set()
    for name, changed in perturbed(part, build):
        run_time = RunTime in type(part).model_fields[name.partition(".")[0]].metadata
        same = digest(identity(changed, REGISTRY)) == before  # type: ignore[arg-type]
        assert same == run_time, f"{name}: {getattr(part, name.partition('.')[0])!r} to {changed!r}"
        tried.add(name.partition(".")[0])
    fields = {name for name, info in type(part).model_fields.items() if not is_file(info) and not is_fixed(info)}
    assert tried == fields


def test_defaults_written_out_are_the_same_identity(part: Component) -> None:
    again = REGISTRY.build(KINDS[part.kind], part.plain())
    assert identity(again, REGISTRY) == identity(part, REGISTRY)


def test_an_identity_is_plain_data(part: Component) -> None:
    assert canonical(identity(part, REGISTRY))


def test_run_time_fields_are_found_among_the_built_in_parts() -> None:
    found = [
        (kind, part, name)
        for kind, part in PARTS
        for name, field in REGISTRY.find(kind, part).model_fields.items()
        if RunTime in field.metadata
    ]
    assert ("encoder", "sentence-transformer", "workers") in found


def test_parts_of_different_names_differ_in_identity() -> None:
    made = [digest(identity(REGISTRY.build(Method, {"use": name}), REGISTRY)) for name in ("max-margin", "max-entropy")]
    assert len(set(made)) == 2


# --- files


def file_identity(path: Path) -> str:
    return digest(identity(REGISTRY.build(KINDS["source"], {"use": "jsonl", "path": str(path)}), REGISTRY))


def test_the_content_of_a_file_is_in_the_key_and_its_name_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("one")
    (tmp_path / "b.jsonl").write_text("one")
    (tmp_path / "c.jsonl").write_text("two")
    a, b, c = (file_identity(tmp_path / f"{name}.jsonl") for name in "abc")
    assert a == b != c


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.jsonl cannot be read: No such file or directory"):
        file_digest(tmp_path / "gone.jsonl")


FILES = """
from fairl_bench import DataFile, Method, Reward, Settings, hookimpl

class Deep(Settings):
    path: DataFile | None = None

class Reads(Method):
    maybe: DataFile | None = None
    several: tuple[DataFile, ...] = ()
    deep: Deep = Deep()

    def fit(self, task):
        return Reward({})

@hookimpl
def fairl_methods(register):
    register("reads", Reads)
"""


@pytest.mark.parametrize("field", ["maybe", "several", "deep"])
def test_the_content_of_a_file_is_in_the_key_however_it_is_nested(field: str, tmp_path: Path) -> None:
    (tmp_path / "reads.py").write_text(FILES)
    registry = Registry([tmp_path / "reads.py"], installed=False)

    def key(name: str) -> str:
        path = str(tmp_path / name)
        spec = {"maybe": path, "several": [path], "deep": {"path": path}}[field]
        return digest(identity(registry.build(Method, {"use": "reads", field: spec}), registry))

    for name, content in {"a": "one", "b": "one", "c": "two"}.items():
        (tmp_path / name).write_text(content)
    assert key("a") == key("b") != key("c")


# --- source


def edited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str) -> None:
    """Pretends that a module's file had one more comment."""
    found = part_digest._path(module)
    assert found is not None
    copy = tmp_path / "edited.py"
    copy.write_text(found.read_text() + "\n# edited\n")
    real = part_digest._path
    monkeypatch.setattr(part_digest, "_path", lambda name: copy if name == module else real(name))


@pytest.mark.parametrize(
    ("kind", "name", "module"),
    [
        ("method", "max-margin", "fairl_bench.builtin.methods.pairwise"),
        ("method", "max-margin", "fairl_bench.science.losses"),
        ("method", "max-margin", "fairl_bench.science.fit"),
        ("method", "max-margin", "fairl_bench.science.heads"),  # imported by fit, inside a package import
        ("method", "max-margin", "fairl_bench.science.streams"),
        ("method", "mean-difference", "fairl_bench.science.heads"),  # by the score that every method inherits
        ("source", "toy-comments", "fairl_bench.toy.lexicon"),
        ("source", "jsonl", "fairl_bench.builtin.shared.file_rows"),
        ("evaluator", "fidelity", "fairl_bench.science.agreement"),
    ],
)
def test_an_edit_of_what_a_part_computes_with_is_another_source(
    kind: str, name: str, module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = source_digest.__wrapped__(REGISTRY.find(kind, name))
    edited(monkeypatch, tmp_path, module)
    assert source_digest.__wrapped__(REGISTRY.find(kind, name)) != before


@pytest.mark.parametrize(
    ("kind", "name", "module"),
    [
        ("method", "max-margin", "fairl_bench.builtin.methods.length"),
        ("method", "max-margin", "fairl_bench.science.starc"),
        ("method", "max-margin", "fairl_bench.cli.main"),
        ("method", "max-margin", "fairl_bench.store.store"),
        ("method", "max-margin", "fairl_bench.values.data"),
        ("method", "max-margin", "fairl_bench.kinds.method"),
        ("encoder", "tfidf", "fairl_bench.science.heads"),  # else texts are embedded again for another head
        ("source", "toy-comments", "fairl_bench.science.fit"),
    ],
)
def test_an_edit_elsewhere_is_the_same_source(
    kind: str, name: str, module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = source_digest.__wrapped__(REGISTRY.find(kind, name))
    edited(monkeypatch, tmp_path, module)
    assert source_digest.__wrapped__(REGISTRY.find(kind, name)) == before


DROP_IN = """
from fairl_bench import Method, Reward, hookimpl

class Nothing(Method):
    def fit(self, task):
        return Reward({{}})

    def score(self, reward, inputs):
        return [{number} for _ in inputs.text]

@hookimpl
def fairl_methods(register):
    register("nothing", Nothing)
"""


def drop_in_identity(path: Path, number: int) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(DROP_IN.format(number=number))
    registry = Registry([path], installed=False)
    return digest(identity(registry.build(Method, {"use": "nothing"}), registry))


def test_the_content_of_a_drop_in_is_in_the_key_and_its_folder_is_not(tmp_path: Path) -> None:
    first = drop_in_identity(tmp_path / "plugin.py", 0)
    assert drop_in_identity(tmp_path / "elsewhere" / "plugin.py", 0) == first
    assert drop_in_identity(tmp_path / "plugin.py", 1) != first


# --- suites


def test_a_suites_keys_survive_another_order_of_methods_another_seed_and_another_name(
    tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    before = plan(read_study(write_suite(tiny))).stages.keys()
    tiny["methods"].reverse()
    assert plan(read_study(write_suite(tiny, "elsewhere/other.yaml"))).stages.keys() == before
    tiny["seeds"] = [2, 1, 0]
    tiny["name"] = "renamed"
    assert plan(read_study(write_suite(tiny))).stages.keys() > before


def test_names_are_not_in_the_key(tiny: dict[str, Any], write_suite: Callable[..., Path]) -> None:
    before = plan(read_study(write_suite(tiny))).stages.keys()
    for entries in ("models", "encoders", "methods"):
        tiny[entries][0]["name"] = "renamed"
    assert plan(read_study(write_suite(tiny))).stages.keys() == before


def test_inputs_come_before_what_reads_them(tiny: dict[str, Any], write_suite: Callable[..., Path]) -> None:
    seen: set[str] = set()
    for key, stage in plan(read_study(write_suite(tiny))).stages.items():
        assert set(stage.inputs.values()) <= seen
        seen.add(key)


def keys_by_method(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for cell in plan(read_study(path)).cells:
        found.setdefault(cell.method, set()).update({cell.reward, cell.scores, *cell.measures})
    return found


def test_a_field_of_one_method_leaves_the_keys_of_the_others_alone(
    tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    before = keys_by_method(write_suite(tiny))
    tiny["methods"][0]["margin"] = 0.5
    after = keys_by_method(write_suite(tiny))
    assert not before.pop("max-margin") & after.pop("max-margin")
    assert before == after


SETTINGS = ["split", "head", "training"]


@pytest.mark.parametrize("name", SETTINGS)
def test_any_setting_of_the_split_the_head_or_the_training_is_in_the_key_of_a_reward(
    name: str, tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    tiny["methods"], tiny["seeds"] = tiny["methods"][:1], [0]
    study = read_study(write_suite(tiny))
    settings: Settings = getattr(study.suite, name)
    before = plan(study).cells[0].reward
    tried = []
    for field, changed in perturbed(settings, type(settings).model_validate):
        suite = study.suite.model_copy(update={name: changed})
        after = plan(study._replace(variants={"": suite})).cells[0].reward
        run_time = [name for name, info in type(settings).model_fields.items() if RunTime in info.metadata]
        assert (after == before) == (field in run_time), field
        tried.append(field)
    assert tried


def test_the_replicate_is_in_the_key_of_a_drawn_world_and_not_of_a_file(
    tiny: dict[str, Any], write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"chosen": "a", "rejected": "b"}\n')
    tiny["replicates"] = [0, 1]
    tiny["models"].append({"name": "file", "use": "jsonl", "path": "pairs.jsonl", "gold": {"use": "role"}})
    toy0, toy1, file0, file1 = plan(read_study(write_suite(tiny))).worlds
    assert toy0.pairs != toy1.pairs
    assert toy0.testsets != toy1.testsets
    assert file0.pairs == file1.pairs
    assert file0.split != file1.split


def test_a_method_that_draws_nothing_is_one_cell_for_all_seeds(
    tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    seeds: dict[str, list[int | None]] = {}
    for cell in plan(read_study(write_suite(tiny))).cells:
        seeds.setdefault(cell.method, []).append(cell.seed)
    assert seeds == {"max-margin": [0, 1], "max-entropy": [0, 1], "mean-difference": [None], "length": [None]}
