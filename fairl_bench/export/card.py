"""The model card of an exported reward: what it is, how it is read, its numbers, its data, its limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairl_bench.errors import ResultsError
from fairl_bench.export.reward_folder import Written
from fairl_bench.guards.secrets import hidden
from fairl_bench.reward.about import About
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.tables.formats import as_markdown
from fairl_bench.values.coordinates import CellName
from fairl_bench.values.table import Table

_LICENCE = re.compile(r"^license:\s*([\w.-]+)\s*$", re.MULTILINE)
_UNSAID = ("use", "name", "workers", "shards", "resources")  # told elsewhere, or of the machine
_USE = {
    "standard": """\
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained(FOLDER)
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
messages = [{"role": "user", "content": "You are"}, {"role": "assistant", "content": "kind."}]
text = tokenizer.apply_chat_template(messages, tokenize=False)
print(model(**tokenizer(text, truncation=True, return_tensors="pt")).logits)""",
    "sentences": """\
from sentence_transformers import SentenceTransformer

print(SentenceTransformer(FOLDER).encode(["You are kind."])[:, 0])""",
}
_USE["code"] = _USE["standard"].replace("(FOLDER)", "(FOLDER, trust_remote_code=True)")


def licence_of(reward: RecoveredReward) -> str | None:
    """The licence that the ``README.md`` of the model behind a reward names; None where it names none."""
    from fairl_bench.export import sentences
    from fairl_bench.export.text_model import folder_of

    place = sentences.folder_of(reward) or folder_of(reward)
    try:
        head = (Path(place or "") / "README.md").read_text(encoding="utf-8").split("---")[1]
    except (OSError, ValueError, IndexError, TypeError):
        return None
    found = _LICENCE.search(head)
    return found[1].lower() if found else None


def card(reward: RecoveredReward, about: About, written: Written, results: Path | None, licence: str | None) -> str:
    """The card as Markdown, with its front matter; ``results`` is the results folder that the reward lies in."""
    library = "sentence-transformers" if written.kind == "sentences" else "transformers"
    parts = [
        "---",
        f"library_name: {library}",
        "pipeline_tag: text-classification",
        f"license: {licence or 'unknown'}",
        "tags: [reward-model, inverse-reinforcement-learning, fairl-bench]",
        "---",
        "",
        f"# {one_line(reward.name)}",
        "",
        "A reward that [fairl-bench](https://github.com/fairl-bench/fairl-bench) recovered from preference pairs, as "
        f"{one_line(written.why)}.",
        "",
        "```python",
        _USE[written.kind],
        "```",
        "",
        *_method(reward, about),
        *_numbers(about, results),
        *_data(about, results),
        *_agreement(written),
        *_limits(reward, written),
        "## Licence",
        "",
        f"The weights are those of its language model or encoder, under {one_line(licence)}, with what was learnt here."
        if licence
        else "The model behind it names no licence in its folder; look it up, since it holds for this folder too.",
        "The licence of the data may ask for more.",
    ]
    return hidden("\n".join(parts) + "\n")


def _method(reward: RecoveredReward, about: About) -> Iterator[str]:
    yield from ("## Method", "")
    yield f"- method `{one_line(about.method.spec['use'])}` with {_fields(about.method.spec)}"
    if about.encoder is not None:
        yield f"- vectors of encoder `{one_line(about.encoder.spec['use'])}` with {_fields(about.encoder.spec)}"
        width = f" of {about.head.get('width')} hidden units" if about.head.get("use") == "mlp" else ""
        yield f"- head of the suite: `{one_line(about.head.get('use'))}`{width}"
    reads = "the prompt and the completion" if reward.reads_prompts else "the completion alone, without its prompt"
    yield f"- it reads {reads}; space around a completion is left out"
    seed, packages = about.cell.get("seed"), about.packages
    yield f"- replicate {about.cell.get('replicate')}, seed {'none' if seed is None else seed}"
    yield f"- made with {', '.join(f'{name} {packages[name]}' for name in sorted(packages))}"
    yield ""


def _numbers(about: About, folder: Path | None) -> Iterator[str]:
    """The numbers of its cell that its results folder has on record."""
    yield from ("## Results", "")
    table = None if folder is None else _table(about, folder)
    if table is None:
        yield "No results lie beside the reward; its results folder has them."
    else:
        yield as_markdown(table).rstrip()
        yield ""
        yield (
            "One run, of one seed: what chance does to such numbers stands in the tables of the results. Truth "
            "`preferred` is which text of a pair was preferred, `gold` what the judge of the suite says."
        )
    yield ""


def _table(about: About, folder: Path) -> Table | None:
    """The numbers of a cell on whole data sets; None where the folder has none, or is none."""
    from fairl_bench.results.results import read_results

    try:
        results = read_results(folder)
        cell = CellName(**{name: about.cell[name] for name in CellName._fields})  # type: ignore[arg-type]
    except (ResultsError, KeyError):
        return None
    rows = tuple(
        (record.data, record.truth, results.metrics[record.metric].called, f"{record.value:.3f}", f"{record.n}")
        for record in results.single_records
        if (record.cell, record.slice, record.other) == (cell, "all", "")
        and record.dataset
        and results.metrics[record.metric].better is not None  # no thresholds: they are on the reward's own scale
        and record.value == record.value
    )
    heads = tuple((name,) for name in ("data", "truth", "metric", "value", "texts or pairs"))
    return Table("Its run, on whole data sets", heads, rows, ()) if rows else None


def _data(about: About, folder: Path | None) -> Iterator[str]:
    """What the suite says of its pairs, without the folders of a machine."""
    yield from ("## Data", "")
    model = one_line(about.cell.get("model"))
    source = None if folder is None else _source(folder, str(about.cell.get("model")))
    told = "" if source is None else f": source `{one_line(source.get('use'))}` with {_fields(source)}"
    yield f"Preference pairs of `{model}` in the suite `{one_line(about.cell.get('suite'))}`{told}."
    yield ""


def _source(folder: Path, name: str) -> Mapping[str, Any] | None:
    """What the suite of a results folder says of a model; None where it cannot be read."""
    from fairl_bench.errors import FairlError
    from fairl_bench.suite.yaml import load

    try:
        models = load(folder / "suite.yaml", variables=False).content["models"]
        return next((model for model in models if model.get("name") == name), None)
    except (FairlError, OSError, KeyError, TypeError, AttributeError):
        return None


def _agreement(written: Written) -> Iterator[str]:
    yield from ("## How far its numbers are those of the reward", "")
    if written.constant:
        yield (
            f"A reward is the number of this folder plus {written.constant!r}: the score layer of a standard "
            "architecture has no bias. That is the same for all texts, and moves no comparison."
        )
    yield (
        f"Read again when it was written, alone and in a batch with padding on either side, its numbers were at most "
        f"{written.difference:.1g} from the reward's."
        if written.kind != "sentences"
        else f"Read again when it was written, its numbers were at most {written.difference:.1g} from the reward's."
    )
    if written.dtype != "float32":
        yield f"The run computed in {written.dtype}; this folder is float32."
    yield ""


def _limits(reward: RecoveredReward, written: Written) -> Iterator[str]:
    yield from ("## Limits", "")
    yield "- A reward is known up to a constant: compare the rewards of texts with each other, not with 0."
    yield "- It was learnt from the pairs above; on other texts its numbers may mean nothing."
    if written.kind == "sentences":
        if reward.reads_prompts:
            yield "- Prompt and completion are one text, with a space between them."
        if written.longest:
            yield f"- Of a text, the first {written.longest} tokens are read."
        return
    lost = "end" if written.loses == "end" else "beginning"
    if written.kind == "standard":
        yield (
            f"- The reward reads at most {written.longest} tokens, and a longer text loses its {lost}: call the "
            "tokenizer with `truncation=True`."
        )
        yield (
            "- Spell texts with the chat template, as above: it puts prompt and completion together and adds the start "
            "and end tokens that the reward reads; the tokenizer by itself adds none. TRL does so for conversations. "
            "Prompts and completions that are plain text it only puts one behind the other, without such tokens."
        )
    else:
        yield f"- The model reads at most {written.longest} tokens, and a longer text loses its {lost}."
        yield (
            "- Spell texts with the chat template, as above: it puts prompt and completion together. TRL does so for "
            "conversations; prompts and completions that are plain text it only puts one behind the other."
        )
    if not reward.reads_prompts:
        yield "- The chat template leaves the prompt out, which the reward does not read; plain text keeps it."
    yield ""


def _fields(spec: Mapping[str, Any]) -> str:
    """The fields of a part in a line; of a path, its last name alone.

    >>> _fields({"use": "jsonl", "path": "/home/me/pairs.jsonl", "flip": 0.0, "gold": {"use": "role"}})
    'path `pairs.jsonl`, flip `0.0`, gold `role`'
    """
    shown = ((name, value) for name, value in spec.items() if name not in _UNSAID and value is not None)
    named = [f"{one_line(name)} `{_short(value)}`" for name, value in shown]
    return ", ".join(named) or "no fields"


def _short(value: object) -> str:
    if isinstance(value, Mapping):  # a part, by its name and that of its model
        return " ".join(_short(value[name]) for name in ("use", "model") if name in value) or "..."
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value))
    text = str(value)
    return one_line(Path(text).name if text.startswith(("/", "~", "../", "./")) else text)


def one_line(value: object) -> str:
    """A text on one line that ends no code span and starts no tag.

    >>> one_line("a `b`\\n<b>")
    "a 'b' ‹b›"
    """
    return " ".join(str(value).replace("`", "'").replace("<", "‹").replace(">", "›").split())[:200]
