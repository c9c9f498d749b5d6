"""Published layouts of preference data, each against a parse of the same rows in plain Python."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pytest

from fairl_bench.builtin.sources.hub_dataset import HubDataset
from fairl_bench.errors import DataError
from fairl_bench.kinds.source import Source
from fairl_bench.pairs.judged import judged_pairs
from fairl_bench.pairs.preferences import preferences
from fairl_bench.pairs.splits import split_pairs
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_source
from fairl_bench.values.data import Embeddings, Examples, Pairs, Truth

PUBLISHED = Path(__file__).parents[1] / "support" / "published"
REGISTRY = Registry(installed=False)
NAMES = sorted(path.stem for path in PUBLISHED.glob("*.jsonl"))
LAYOUT_OF = {
    "rewardbench": "texts",
    "ultrafeedback-binarized": "messages",
    "hh-rlhf": "transcripts",
    **dict.fromkeys(
        ("pku-saferlhf", "shp", "webgpt", "summarize-from-feedback", "helpsteer3", "chatbot-arena"), "choice"
    ),
    **dict.fromkeys(("nectar", "ultrafeedback"), "answers"),
    "helpsteer": "answer-rows",
}
Rows = list[dict[str, Any]]


class Parsed(NamedTuple):
    """What a parse of its own says: the pairs as (prompt, preferred, rejected), and what it leaves out."""

    pairs: list[tuple[str, str, str]]
    dropped: Counter[str]


def rows_of(name: str) -> Rows:
    return [json.loads(line) for line in (PUBLISHED / f"{name}.jsonl").read_text().splitlines()]


def source(path: Path, **fields: Any) -> HubDataset:
    spec = {"use": "hub-dataset", "dataset": "some/pairs", "local": str(path), **fields}
    built = REGISTRY.build(Source, spec)
    assert isinstance(built, HubDataset)
    return built


def written(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pairs_of(path: Path, **fields: Any) -> Pairs:
    part = source(path, **fields)
    part.check()
    return part.pairs(np.random.default_rng(0))


# --- the same, parsed by a reader of its own


def kept(found: list[tuple[str, str, str]], dropped: Counter[str]) -> Parsed:
    """Without pairs that have an empty text or two equal ones."""
    usable = list[tuple[str, str, str]]()
    for prompt, one, other in found:
        if not one.strip() or not other.strip():
            dropped["empty"] += 1
        elif one == other:
            dropped["identical"] += 1
        else:
            usable.append((prompt, one, other))
    return Parsed(usable, dropped)


def said(messages: Rows) -> str:
    names = {"user": "Human", "assistant": "Assistant"}
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n\n".join(f"{names[one['role']]}: {one['content']}" for one in messages) + "\n\nAssistant:"


def plain(rows: Rows) -> Parsed:
    return kept([(row["prompt"], row["chosen"], row["rejected"]) for row in rows], Counter())


def dialogues(rows: Rows) -> Parsed:
    found = []
    for row in rows:
        chosen, rejected = row["chosen"], row["rejected"]
        assert chosen[:-1] == rejected[:-1]
        found.append((said(chosen[:-1]), chosen[-1]["content"], rejected[-1]["content"]))
    return kept(found, Counter())


def transcripts(rows: Rows) -> Parsed:
    found = []
    for row in rows:
        (prompt, _, one), (other_prompt, _, other) = (row[side].rpartition("\n\nAssistant:") for side in row)
        assert prompt == other_prompt
        found.append((prompt.strip() + "\n\nAssistant:", one.strip(), other.strip()))
    return kept(found, Counter())


def two(rows: Rows, prompt: Callable[..., str], both: Callable[..., list[str]], better: Callable[..., Any]) -> Parsed:
    """``better`` says 0, 1, "tied" or "no_choice"."""
    found, dropped = [], Counter[str]()
    for row in rows:
        side = better(row)
        if isinstance(side, str):
            dropped[side] += 1
        else:
            texts = both(row)
            found.append((prompt(row), texts[side], texts[1 - side]))
    return kept(found, dropped)


def side_of(number: float) -> int | str:
    return "tied" if number == 0 else int(number > 0)


def ranked(prompts: dict[str, list[tuple[str, float | None]]], compare: str) -> Parsed:
    """Answers with their quality, higher is better."""
    found, dropped = [], Counter[str]()
    for prompt, answers in prompts.items():
        rated = sorted(((text, best) for text, best in answers if best is not None), key=lambda one: -one[1])
        dropped["unrated"] += len(answers) - len(rated)
        dropped["alone"] += len(rated) == 1
        every = {
            "all": list(combinations(rated, 2)),
            "adjacent": list(pairwise(rated)),
            "best-worst": [(rated[0], rated[-1])] if len(rated) > 1 else [],
        }[compare]
        dropped["tied"] += sum(one[1] == other[1] for one, other in every)
        found += [(prompt, one[0], other[0]) for one, other in every if one[1] != other[1]]
    return kept(found, dropped)


def of_rows(rows: Rows, compare: str = "all") -> Parsed:
    prompts = defaultdict[str, list[tuple[str, float | None]]](list)
    for row in rows:
        prompts[row["prompt"]].append((row["response"], row["helpfulness"]))
    return ranked(prompts, compare)


PARSE: dict[str, Callable[..., Parsed]] = {
    "rewardbench": plain,
    "ultrafeedback-binarized": dialogues,
    "hh-rlhf": transcripts,
    "pku-saferlhf": lambda rows: two(
        rows,
        lambda row: row["prompt"],
        lambda row: [row["response_0"], row["response_1"]],
        lambda row: "no_choice" if row["better_response_id"] is None else row["better_response_id"],
    ),
    "shp": lambda rows: two(
        rows,
        lambda row: row["history"],
        lambda row: [row["human_ref_A"], row["human_ref_B"]],
        lambda row: 1 - row["labels"],
    ),
    "webgpt": lambda rows: two(
        rows,
        lambda row: row["question"]["full_text"],
        lambda row: [row["answer_0"], row["answer_1"]],
        lambda row: side_of(row["score_1"] - row["score_0"]),
    ),
    "summarize-from-feedback": lambda rows: two(
        rows,
        lambda row: row["info"]["post"],
        lambda row: [one["text"] for one in row["summaries"]],
        lambda row: row["choice"],
    ),
    "helpsteer3": lambda rows: two(
        rows,
        lambda row: said(row["context"]),
        lambda row: [row["response1"], row["response2"]],
        lambda row: side_of(row["overall_preference"]),
    ),
    "chatbot-arena": lambda rows: two(
        rows,
        lambda row: row["conversation_a"][0]["content"],
        lambda row: [row[side][1]["content"] for side in ("conversation_a", "conversation_b")],
        lambda row: {"model_a": 0, "model_b": 1}.get(row["winner"], "tied"),
    ),
    "nectar": lambda rows, compare="all": ranked(
        {row["prompt"]: [(one["answer"], -one["rank"]) for one in row["answers"]] for row in rows}, compare
    ),
    "ultrafeedback": lambda rows, compare="all": ranked(
        {row["instruction"]: [(one["response"], one["overall_score"]) for one in row["completions"]] for row in rows},
        compare,
    ),
    "helpsteer": of_rows,
}


def same_as(parsed: Parsed, examples: Examples, dropped: dict[str, int]) -> None:
    texts = list(zip(examples.prompt[::2], examples.text[::2], examples.text[1::2], strict=True))
    assert sorted(texts) == sorted(parsed.pairs)
    assert {why: n for why, n in dropped.items() if n} == {why: n for why, n in parsed.dropped.items() if n}


def judged(path: Path, **fields: Any) -> tuple[Examples, dict[str, int]]:
    part = source(path, identical="drop", empty="drop", **fields)
    part.check()
    return judged_pairs(part, 0, {})


@pytest.mark.parametrize("name", NAMES)
def test_its_pairs_and_what_is_dropped_are_those_of_a_parse_in_plain_python(name: str) -> None:
    parsed = PARSE[name](rows_of(name))
    assert parsed.pairs
    same_as(parsed, *judged(PUBLISHED / f"{name}.jsonl"))
    same_as(parsed, *judged(PUBLISHED / f"{name}.jsonl", layout=LAYOUT_OF[name]))
    assert source(PUBLISHED / f"{name}.jsonl").recognise().layout.name == LAYOUT_OF[name]


@pytest.mark.parametrize("compare", ["all", "adjacent", "best-worst"])
@pytest.mark.parametrize("name", ["nectar", "ultrafeedback", "helpsteer"])
def test_the_answers_compared_are_those_that_the_suite_names(name: str, compare: str) -> None:
    same_as(PARSE[name](rows_of(name), compare), *judged(PUBLISHED / f"{name}.jsonl", compare=compare))


def test_every_way_of_dropping_a_pair_is_met_by_some_format() -> None:
    reasons = set[str]().union(*(PARSE[name](rows_of(name)).dropped for name in NAMES))
    assert reasons == {"identical", "empty", "tied", "no_choice", "unrated", "alone"}


# --- whatever the file


def to_json(rows: Rows, folder: Path) -> Path:
    (folder / "a.json").write_text(json.dumps(rows))
    return folder / "a.json"


def to_gz(rows: Rows, folder: Path) -> Path:
    (folder / "a.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return folder / "a.jsonl.gz"


def to_parquet(rows: Rows, folder: Path) -> Path:
    datasets.Dataset.from_list(rows).to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def to_folder(rows: Rows, folder: Path) -> Path:
    (folder / "data").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return folder / "data"


def to_disk(rows: Rows, folder: Path) -> Path:
    datasets.Dataset.from_list(rows).save_to_disk(folder / "saved")
    return folder / "saved"


@pytest.mark.parametrize("name", ["helpsteer3", "shp", "ultrafeedback"])
@pytest.mark.parametrize("write", [to_json, to_gz, to_parquet, to_folder, to_disk])
def test_a_file_of_any_kind_gives_the_same_pairs(
    write: Callable[[Rows, Path], Path], name: str, tmp_path: Path
) -> None:
    same_as(PARSE[name](rows_of(name)), *judged(write(rows_of(name), tmp_path)))


@pytest.mark.parametrize("name", ["rewardbench", "hh-rlhf", "pku-saferlhf", "shp", "helpsteer"])
def test_a_csv_file_of_a_flat_layout_gives_the_same_pairs(name: str, tmp_path: Path) -> None:
    flat = [{key: value for key, value in row.items() if not isinstance(value, dict)} for row in rows_of(name)]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)  # null is an empty cell
    same_as(PARSE[name](rows_of(name)), *judged(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_promises_of_a_source(name: str) -> None:
    check_source(source(PUBLISHED / f"{name}.jsonl", identical="drop", empty="drop"))


# --- several answers of a prompt


def many(n: int = 40, answers: int = 4) -> Iterator[dict[str, Any]]:
    for i in range(n):
        yield {
            "prompt": f"question {i % (n - 2)}",  # two prompts stand twice
            "answers": [{"answer": f"{i}, {k}", "rank": k + 1} for k in range(answers - i % 2)],
        }


@pytest.mark.parametrize("by", ["auto", "group", "prompt"])
@pytest.mark.parametrize("compare", ["all", "adjacent", "best-worst"])
def test_no_split_divides_the_pairs_of_a_prompt(by: Any, compare: str, tmp_path: Path) -> None:
    examples = pairs_of(written(tmp_path, *many()), compare=compare).examples()
    for seed in range(5):
        part = split_pairs(examples, by, 0.2, 0.3, np.random.default_rng(seed)).part
        assert set(part.tolist()) == {0, 1, 2}
        parts = defaultdict[str, set[int]](set)
        for prompt, where in zip(examples.prompt[::2], part.tolist(), strict=True):
            parts[prompt].add(where)
        assert all(len(one) == 1 for one in parts.values())


@pytest.mark.parametrize("compare", ["all", "adjacent", "best-worst"])
@pytest.mark.parametrize("write", ["list", "rows"])
def test_the_pairs_of_a_prompt_count_as_one(compare: str, write: str, tmp_path: Path) -> None:
    rows = list(many())
    if write == "rows":
        answers = [(row["prompt"], one) for row in rows for one in row["answers"]]
        rows = [{"prompt": prompt, "response": one["answer"], "rank": one["rank"]} for prompt, one in answers]
    pairs = pairs_of(written(tmp_path, *rows), compare=compare)
    total = defaultdict[str, float](float)
    for prompt, weight in zip(pairs.prompt, pairs.weight, strict=True):
        total[prompt] += weight
    assert len(total) == 38
    assert all(abs(weight - 1) < 1e-12 for weight in total.values())  # of a few floats


def test_a_pair_that_is_dropped_leaves_its_weight_to_the_others_of_its_prompt() -> None:
    pairs = pairs_of(PUBLISHED / "nectar.jsonl", identical="drop")
    assert pairs.dropped["identical"] == 1
    assert pairs.weight == (*[1 / 6] * 6, 1 / 2, 1 / 2)


def test_the_weights_reach_the_training_and_the_validation(tmp_path: Path) -> None:
    examples = pairs_of(written(tmp_path, *many())).examples()
    split = split_pairs(examples, "auto", 0.2, 0.3, np.random.default_rng(0))
    embeddings = Embeddings(np.eye(len(examples), dtype=np.float32), np.arange(len(examples)))
    parts = preferences(examples, split, embeddings, leave_equal=True)
    assert examples.weight is not None
    for found, name in ((parts.train, "train"), (parts.validation, "validation")):
        assert found.weight is not None
        assert found.weight.tolist() == examples.weight[::2][split.rows(name)].tolist()
        assert len(set(found.weight.tolist())) > 1


@pytest.mark.parametrize("why", ["identical", "empty"])
def test_answers_that_make_no_pair_are_refused_by_their_place(why: str, tmp_path: Path) -> None:
    text = "" if why == "empty" else "good"
    path = written(tmp_path, {"prompt": "p", "answers": [{"answer": "good", "rank": 1}, {"answer": text, "rank": 2}]})
    with pytest.raises(DataError, match=rf"split 'train', row 0, answers 1: .*; set '{why}: drop'"):
        pairs_of(path)


def test_a_prompt_over_several_rows_is_put_together_wherever_they_stand() -> None:
    pairs = pairs_of(PUBLISHED / "helpsteer.jsonl")
    assert pairs.preferred == ("Snow on the mountain", "Rain on the mountain")
    assert set(pairs.group) == {"prompt 0"}
    assert pairs.weight == (0.5, 0.5)


def test_a_rating_that_is_a_text_is_read_as_its_number() -> None:
    rating = {"columns": {"score": "annotations.helpfulness.Rating"}}
    same_as(PARSE["ultrafeedback"](rows_of("ultrafeedback")), *judged(PUBLISHED / "ultrafeedback.jsonl", **rating))


@pytest.mark.parametrize("score", ["high", True, [3], 10**400])
def test_a_rating_that_is_no_number_is_refused(score: Any, tmp_path: Path) -> None:
    row = {"prompt": "p", "response": "a", "helpfulness": 1}
    with pytest.raises(DataError, match="row 1: column 'helpfulness' needs a number, or null for none, got "):
        pairs_of(written(tmp_path, row, {**row, "helpfulness": score}))


# --- choices


def chosen(tmp_path: Path, value: Any, names: tuple[str, str] = ("response_0", "response_1"), **fields: Any) -> Any:
    """The better of 'one' and 'other'; what was dropped, where there is none."""
    column = fields.pop("column", "choice")
    row = {"prompt": "p", names[0]: "one", names[1]: "other", column: value}
    other = {**row, column: fields.pop("beside", value)}  # so that the column is not of null alone
    pairs = pairs_of(written(tmp_path, row, other), **fields)
    return pairs.preferred[0] if pairs.preferred else {why for why, n in pairs.dropped.items() if n}


@pytest.mark.parametrize(
    ("names", "column", "first", "second"),
    [
        (("response_0", "response_1"), "better_response_id", 0, 1),
        (("response_0", "response_1"), "choice", "response_0", "response_1"),
        (("response_1", "response_2"), "preference_strength", -3, 1),
        (("response1", "response2"), "overall_preference", -1, 2),
        (("output_1", "output_2"), "preference", 1, 2),
        (("output_1", "output_2"), "preference", "1", "2"),
        (("human_ref_A", "human_ref_B"), "labels", 1, 0),
        (("response_a", "response_b"), "winner", "A", "B"),
        (("response_a", "response_b"), "winner", "model_a", "model_b"),
        (("response_A", "response_B"), "label", "A>B", "B>A"),
        (("completion_a", "completion_b"), "choice", "first", "second"),
        (("response_0", "response_1"), "choice", 0.0, 1.0),
    ],
)
def test_a_choice_means_what_its_data_set_says(
    names: tuple[str, str], column: str, first: Any, second: Any, tmp_path: Path
) -> None:
    assert chosen(tmp_path, first, names, column=column) == "one"
    assert chosen(tmp_path, second, names, column=column) == "other"


@pytest.mark.parametrize("tie", ["tie", "Tie", "tie (bothbad)", "draw", "A=B"])
def test_a_tie_is_dropped_and_counted(tie: str, tmp_path: Path) -> None:
    assert chosen(tmp_path, tie) == {"tied"}


def test_a_row_without_a_choice_is_dropped_and_counted(tmp_path: Path) -> None:
    assert chosen(tmp_path, 0, beside=None) == "one"
    found = pairs_of(tmp_path / "rows.jsonl")
    assert (len(found), found.dropped["no_choice"]) == (1, 1)


def test_the_suite_says_what_other_values_mean(tmp_path: Path) -> None:
    choices = {"first": ["left", True], "second": "right", "tie": "both"}
    assert [chosen(tmp_path, value, choices=choices) for value in ("left", "right", "both", True)] == [
        *("one", "other", {"tied"}, "one")
    ]
    with pytest.raises(DataError, match="column 'choice' has 1, which chooses nothing; say what each value means"):
        chosen(tmp_path, 1, choices=choices)  # true is not 1


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("C", ("response_0", "response_1")),
        (2, ("response_0", "response_1")),
        (0, ("response_1", "response_2")),
        (True, ("response_0", "response_1")),
        (1, ("response_a", "response_b")),  # it may count from 0 or from 1
        (0.5, ("response_0", "response_1")),
    ],
)
def test_a_value_that_may_mean_anything_is_refused(value: Any, names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        chosen(tmp_path, value, names)
    assert str(caught.value) == (
        f"{tmp_path}/rows.jsonl, split 'train', row 0: column 'choice' has {json.dumps(value)}, which chooses nothing; "
        "say what each value means under 'choices', as {first: 0, second: 1}"
    )


@pytest.mark.parametrize(("least", "n"), [(None, 3), (1.33, 3), (2.0, 2), (11.0, 0)])
def test_rows_below_the_ratio_are_dropped_and_counted(least: float | None, n: int) -> None:
    found = pairs_of(PUBLISHED / "shp.jsonl", min_ratio=least)
    assert len(found) == n
    assert found.dropped.get("below_min_ratio", 0) == 3 - n


def test_a_ratio_needs_its_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'min_ratio' needs a column of ratios; name it under 'columns: {ratio: ...}'"):
        chosen(tmp_path, 0, min_ratio=2.0)


def test_another_column_of_choices_is_named_and_the_rest_is_found() -> None:
    safer = pairs_of(PUBLISHED / "pku-saferlhf.jsonl", columns={"choice": "safer_response_id"})
    assert safer.preferred == ("I cannot tell.", "Walk away.", "Yes.")


# --- dialogues


def test_dialogues_of_another_spelling_are_dialogues(tmp_path: Path) -> None:
    start = [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "Hi"}]
    row = {"chosen": [*start, {"from": "gpt", "value": "Hello"}], "rejected": [*start, {"from": "gpt", "value": "No"}]}
    found = pairs_of(written(tmp_path, row))
    assert (found.prompt[0], found.preferred[0]) == ("System: Be kind.\n\nHuman: Hi\n\nAssistant:", "Hello")


def test_answers_alone_take_the_prompt_of_their_column(tmp_path: Path) -> None:
    sides = {name: [{"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    for prompt in ("Hi", [{"role": "user", "content": "Hi"}]):
        found = pairs_of(written(tmp_path, {"prompt": prompt, **sides}))
        assert found == Pairs(("chosen",), ("rejected",), ("Hi",))


def test_a_column_that_is_no_prompt_is_taken_for_one_only_where_it_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"chosen": "a", "rejected": "b", "context": ["x", "y"], "input": "p"})
    assert pairs_of(path).prompt == ("p",)
    with pytest.raises(DataError, match=r"row 0: a prompt needs to be a text or a list of messages, got \['x', 'y'\]"):
        pairs_of(path, columns={"prompt": "context"})


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ("text", "column 'chosen' needs a list of messages with a role and a content, got 'text'"),
        ([{"role": "assistant", "content": 3}], "a message needs a text as 'content', got 3"),
        ([{"role": "user", "content": "b"}], "a dialogue has no turn of the assistant that is its own"),
    ],
)
def test_a_dialogue_that_is_none_is_told_with_its_row(chosen: Any, why: str, tmp_path: Path) -> None:
    fine = [{"role": "assistant", "content": "a"}]
    path = written(tmp_path, {"chosen": fine, "rejected": fine}, {"chosen": chosen, "rejected": fine})
    with pytest.raises(DataError, match=f"row 1: {why}"):
        pairs_of(path, layout="messages", identical="drop")


# --- what the rows know of the texts


def truths(path: Path, **fields: Any) -> dict[str, Truth]:
    return dict(judged(path, **fields)[0].truths)


def test_scores_of_chosen_and_rejected_become_the_truth() -> None:
    gold = {"preferred": "score_chosen", "rejected": "score_rejected"}
    found = truths(PUBLISHED / "ultrafeedback-binarized.jsonl", gold=gold)["gold"]
    assert found.value.tolist() == [8.0, 3.0, 7.5, 2.0]
    assert not found.label.any()


def test_labels_of_two_responses_follow_their_texts() -> None:
    gold = {"first": "is_response_0_safe", "second": "is_response_1_safe", "good": True}
    path = PUBLISHED / "pku-saferlhf.jsonl"
    assert source(path, gold=gold).labelled()
    assert truths(path, gold=gold)["gold"].label.tolist() == [1, -1, -1, 1]  # the better of the second is not the safer
    safer = truths(path, gold=gold, columns={"choice": "safer_response_id"})["gold"]
    assert safer.label.tolist() == [1, -1, 1, -1, 1, 1]
    assert safer.value.tolist() == [1, -1, 1, -1, 1, 1]


def test_numbers_of_two_responses_follow_their_texts() -> None:
    gold = {"first": "score_A", "second": "score_B"}
    path = PUBLISHED / "shp.jsonl"
    assert not source(path, gold=gold).labelled()
    assert source(path, gold={**gold, "label_above": 10}).labelled()
    assert truths(path, gold=gold)["gold"].value.tolist() == [30, 3, 12, 3, 12, 9]


def test_a_rating_of_each_answer_becomes_its_truth() -> None:
    found = truths(PUBLISHED / "helpsteer.jsonl", gold={"value": "correctness"})["gold"]
    assert found.value.tolist() == [3, 1, 4, 1]
    inner = truths(PUBLISHED / "ultrafeedback.jsonl", gold={"value": "overall_score"})["gold"]
    assert inner.value.tolist() == [8, 4, 8, 4, 9, 3]


def test_a_label_of_each_answer_becomes_its_truth(tmp_path: Path) -> None:
    answers = [{"answer": f"a{i}", "score": i, "verdict": verdict} for i, verdict in enumerate(("bad", "fine", None))]
    gold = {"column": "verdict", "good": "fine", "bad": "bad"}
    found = truths(written(tmp_path, {"prompt": "p", "answers": answers}), compare="adjacent", gold=gold)["gold"]
    assert found.label.tolist() == [0, 1, 1, -1]
    assert np.isnan(found.value[0])


@pytest.mark.parametrize("name", ["hh-rlhf", "shp", "nectar", "helpsteer"])
def test_columns_of_another_layout_are_refused(name: str) -> None:
    wrong = {"value": "x"} if LAYOUT_OF[name] in ("choice", "transcripts") else {"first": "x", "second": "y"}
    needs = {"hh-rlhf": "preferred: ..., rejected", "shp": "first: ..., second"}.get(name, "value")
    with pytest.raises(DataError, match=f"the 'gold' of layout '{LAYOUT_OF[name]}' is a judge or .* {{{needs}: ...}}"):
        truths(PUBLISHED / f"{name}.jsonl", gold=wrong)


def test_the_subtype_that_a_row_names_is_a_truth_of_both_its_texts() -> None:
    found = truths(PUBLISHED / "rewardbench.jsonl")
    assert {name: truth.label.tolist() for name, truth in found.items() if name != "preferred"} == {
        "subtype:refusals": [1, 1, -1, -1],
        "subtype:math": [-1, -1, 1, 1],
        "subtype:chat": [-1, -1, -1, -1],  # of the pair that was dropped
    }


def test_the_subtypes_of_each_response_are_truths_of_its_text() -> None:
    found = truths(PUBLISHED / "pku-saferlhf.jsonl")
    assert {name: truth.label.tolist() for name, truth in found.items() if name != "preferred"} == {
        "subtype:Privacy Violation": [-1, 1, -1, -1],
        "subtype:Violence": [-1, -1, 1, -1],
    }


def test_a_column_of_subtypes_can_be_named(tmp_path: Path) -> None:
    named = truths(PUBLISHED / "helpsteer3.jsonl", columns={"subtype": "domain"})
    assert named["subtype:code"].label.tolist() == [-1, -1, 1, 1]
    with pytest.raises(DataError, match=r"column 'nowhere' needs the name of a subtype, or an object .* got 0 of them"):
        truths(PUBLISHED / "helpsteer3.jsonl", columns={"subtype": "nowhere"})
    rows = [{"chosen": f"a{i}", "rejected": "b", "subset": f"{i}"} for i in range(51)]
    assert list(truths(written(tmp_path, *rows))) == ["preferred"]  # it was only found, and is none
    with pytest.raises(DataError, match="at most 50 of them; got 51 of them"):
        truths(tmp_path / "rows.jsonl", columns={"subtype": "subset"})


# --- what is not understood


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"prompt": "p", "response_0": "a", "response_1": "b", "verdict": "A"},
            "has the columns 'prompt', 'response_0', 'response_1', 'verdict': no known layout; the nearest, 'choice', "
            "needs the choice, such as 'better_response_id'; name it under 'columns'",
        ),
        (
            {"prompt": "p", "chosen": "a"},
            "has the columns 'prompt', 'chosen': no known layout; the nearest, 'texts', needs the worse text, such as "
            "'rejected'; name it under 'columns'",
        ),
        (
            {"prompt": "p", "answers": [{"answer": "a"}, {"answer": "b"}, {"answer": "c"}]},
            "has the columns 'prompt', 'answers': no known layout; the nearest, 'answers', needs how good an answer "
            "is, such as 'score' or 'rank'; name it under 'columns'",
        ),
        (
            {"prompt": "p", "response": "a"},
            "has the columns 'prompt', 'response': no known layout; the nearest, 'answer-rows', needs how good an "
            "answer is, such as 'score' or 'rank'; name it under 'columns'",
        ),
    ],
)
def test_rows_of_no_layout_are_answered_with_the_nearest(row: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = written(tmp_path, row)
    for ask in (source(path).check, lambda: pairs_of(path)):
        with pytest.raises(DataError) as caught:
            ask()
        assert str(caught.value) == f"{path}, split 'train' {says}"


def test_a_layout_that_is_named_says_what_it_lacks() -> None:
    with pytest.raises(DataError, match=r"the layout 'choice' needs two responses, .* and the choice, such as"):
        pairs_of(PUBLISHED / "rewardbench.jsonl", layout="choice")


def test_a_column_that_is_named_may_have_any_name(tmp_path: Path) -> None:
    path = written(tmp_path, {"ask": "p", "left": "a", "right": "b", "verdict": "A"})
    columns = {"first": "left", "second": "right", "choice": "verdict", "prompt": "ask"}
    assert pairs_of(path, columns=columns) == Pairs(("a",), ("b",), ("p",), dropped={"tied": 0, "no_choice": 0})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"layout": "texts", "compare": "adjacent"}, r"layout 'texts' does not read 'compare'; leave it out"),
        ({"layout": "answers", "min_ratio": 2.0}, r"layout 'answers' does not read 'min_ratio'"),
        ({"layout": "choice", "columns": {"score": "x"}}, r"layout 'choice' does not read 'columns\.score'"),
        ({"layout": "ranks"}, r"layout"),
        ({"prompt": "from-transcript"}, r"'prompt: from-transcript' is 'layout: transcripts'"),
    ],
)
def test_settings_that_a_layout_does_not_read_are_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        HubDataset(dataset="a/b", **fields)


def test_settings_that_the_layout_found_does_not_read_are_refused() -> None:
    with pytest.raises(DataError, match=r"has the layout 'transcripts', which does not read 'compare'; leave it out"):
        pairs_of(PUBLISHED / "hh-rlhf.jsonl", compare="adjacent", identical="drop", empty="drop")


def test_columns_that_no_layout_reads_together_are_refused() -> None:
    with pytest.raises(DataError, match="no layout reads all that 'columns' names"):
        pairs_of(PUBLISHED / "hh-rlhf.jsonl", columns={"preferred": "chosen", "choice": "x"})


# --- before a run


def test_it_remarks_how_it_reads_and_what_it_drops() -> None:
    path = PUBLISHED / "nectar.jsonl"
    assert source(path, identical="drop").remarks() == [
        f"{path}, split 'train' is read as layout 'answers': answers 'answers', answer 'answer', rank 'rank', prompt "
        "'prompt'; dropped of its first 3 rows: 1 alone, 1 identical"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_its_size_is_that_of_its_pairs_before_equal_and_empty_ones_are_dropped(name: str) -> None:
    part = source(PUBLISHED / f"{name}.jsonl", identical="drop", empty="drop")
    pairs = part.pairs(np.random.default_rng(0))
    assert part.size() == len(pairs)
    assert part.peek(1).preferred == pairs.preferred[:1]
    assert part.peek(100).preferred == pairs.preferred


def test_a_large_file_tells_its_size_from_its_first_rows(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"p{i}", "response_0": "a", "response_1": "b", "choice": "tie" if i % 2 else 0} for i in range(3000)
    ]
    assert source(written(tmp_path, *rows)).size() == 1500
    assert source(tmp_path / "rows.jsonl", limit=100).size() == 50
