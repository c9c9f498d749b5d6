"""Every mistake that a user can make, and the exact words that it is answered with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import Result
from huggingface_hub import constants

from fairl_bench.results.results import read_results

Cli = Callable[..., Result]

SUITE = """\
name: small
seeds: [0, 1]
models:
  - name: toy
    use: toy-comments
    n: 50
    gold: {use: toy-truth}
split: {validation: 0.1, test: 0.2}
encoders:
  - {name: tfidf, use: tfidf, dimensions: 16}
head: {use: mlp, width: 8}
training:
  lr: 1e-3
  epochs: 1
defaults:
  max-margin: {margin: 0.8}
methods:
  - {name: mm, use: max-margin}
  - {name: me, use: max-entropy}
  - {name: length, use: length}
testsets:
  shifted: {use: toy-comments, n: 40, gold: {use: toy-truth}}
evaluate:
  - {use: classification, data: [pairs/test, shifted], label: gold}
  - {use: fidelity, data: [shifted]}
slices: {baseline: me}
report:
  table1: {data: [pairs/test, shifted], truth: gold, metrics: [auc]}
  table2: {data: [shifted], methods: [me, mm]}
claims:
  - {id: c1, better: mm, than: me, metric: auc, data: shifted}
"""
FILES = """\
name: files
seeds: [0]
models:
  - {name: people, use: jsonl, path: pairs.jsonl, gold: {use: role}}
encoders: [{name: tfidf, use: tfidf, dimensions: 4}]
methods: [{name: length, use: length}]
testsets:
  texts: {use: jsonl-texts, path: texts.jsonl, gold: {column: toxic, good: 0, bad: 1}}
evaluate:
  - {use: classification, data: [texts], label: gold, threshold: {data: pairs/train, label: gold}}
report:
  table1: {data: [texts], metrics: [accuracy, auc]}
"""
PAIRS = "".join(f'{{"chosen": "a kind word {i}", "rejected": "a rude word {i}"}}\n' for i in range(20))
TEXTS = '{"text": "a kind text", "toxic": 0}\n{"text": "a rude text", "toxic": 1}\n'

METHODS = "methods:\n" + SUITE.partition("methods:\n")[2].partition("testsets:")[0]
NAMES = "a name starts with a letter or digit and holds letters, digits, '.', '_', '+' and '-' alone"
PLUGIN = "plugins: [my.py]\nname: small"
METHOD = "from fairl_bench import Method, hookimpl\nclass M(Method):\n    def fit(self, task): ...\n"
HOOK = "@hookimpl\ndef fairl_methods(register):\n    register({!r}, M)\n"


EVEN = f"""\
from pydantic import field_validator
{METHOD}
    k: int = 2

    @field_validator("k")
    @classmethod
    def _even(cls, k):
        if k % 2:
            raise ValueError("must be even")
        return k

"""


class Case(NamedTuple):
    id: str
    old: str  # what the suite is spoilt by: a text of it, and what takes its place
    new: str
    said: str  # all that is printed to stderr, after "error: "
    command: str = "check suite.yaml"
    base: str = SUITE
    files: Mapping[str, str | bytes | None] = {}
    code: int = 2


def suite(id: str, old: str, new: str, said: str, **more: str | bytes) -> Case:
    """A mistake in the suite itself; ``more`` are files by name, with ``_`` for the dot."""
    files = {name.replace("_", "."): content for name, content in more.items()}
    return Case(id, old, new, "suite.yaml:" + said, files=files)


def command(id: str, command: str, said: str, **files: str) -> Case:
    return Case(id, "", "", said, command, files={name.replace("_", "/"): text for name, text in files.items()})


def data(id: str, file: str, content: str | bytes | None, said: str, old: str = "", new: str = "") -> Case:
    return Case(id, old, new, said, base=FILES, files={file: content})


def served(id: str, old: str, new: str, said: str) -> Case:
    """A mistake in a suite whose pairs come from two servers."""
    people = "{name: people, use: jsonl, path: pairs.jsonl, gold: {use: role}}"
    models = "{base: {url: 'http://b/v1', model: b}, expert: {url: 'http://a/v1', model: e}, n: 9, "
    api = models + "name: people, use: completions-api, prompts: {use: toy-prompts}, gold: {use: role}}"
    return Case(id, old, new, f"suite.yaml:4: models.0{said}", base=FILES.replace(people, api))


CASES = [
    # --- names that are not there
    suite("unknown-key", "training:", "trainning:", "12: unknown field 'trainning'; did you mean 'training'?"),
    suite("unknown-key-nested", "epochs:", "epoch:", "14: training: unknown field 'epoch'; did you mean 'epochs'?"),
    suite("unknown-key-of-a-part", "dimensions", "dimension",
          "10: encoders.0: unknown field 'dimension'; did you mean 'dimensions'?"),
    suite("use-where-nothing-is-used", "seeds", "use: x\nseeds", "2: unknown field 'use'"),
    suite("unknown-source", "use: toy-comments\n", "use: toy-coments\n",
          "4: models.0: source 'toy-coments' is unknown; did you mean 'toy-comments'?"),
    suite("unknown-testset", "{use: toy-comments", "{use: toy-coments",
          "22: testsets.shifted: testset 'toy-coments' is unknown; did you mean 'toy-comments'?"),
    suite("unknown-encoder", "use: tfidf", "use: tfdif",
          "10: encoders.0: encoder 'tfdif' is unknown; did you mean 'tfidf'?"),
    suite("unknown-method", "use: max-entropy", "use: max-entrpy",
          "19: methods.1: method 'max-entrpy' is unknown; did you mean 'max-entropy'?"),
    suite("unknown-judge", "gold: {use: toy-truth}\n", "gold: {use: toy-thruth}\n",
          "7: models.0.gold: judge 'toy-thruth' is unknown; did you mean 'toy-truth'?"),
    suite("unknown-evaluator", "use: fidelity", "use: fidelty",
          "25: evaluate.1: evaluator 'fidelty' is unknown; did you mean 'fidelity'?"),
    suite("unknown-method-in-slices", "baseline: me", "baseline: lenght",
          "26: slices: method 'lenght' is unknown; did you mean 'length'?"),
    suite("unknown-method-in-a-claim", "better: mm", "better: lenght",
          "31: claims: method 'lenght' is unknown; did you mean 'length'?"),
    suite("unknown-method-in-table2", "[me, mm]", "[me, lenght]",
          "29: report.table2: method 'lenght' is unknown; did you mean 'length'?"),
    suite("no-threshold-for-table2", "table2: {data: [shifted]", "table2: {data: [shifted, pairs/train]",
          "29: report.table2: no evaluator gives 'pairs/train' a threshold against gold; add a 'classification' "
          "that chooses one"),
    suite("no-threshold-at-all-for-table2", "label: gold}", "label: gold, threshold: {maximise: none}}",
          "29: report.table2: no evaluator gives 'shifted' a threshold against gold; add a 'classification' that "
          "chooses one"),
    suite("no-slice-in-slices", "slices: {baseline: me}", "slices: {near_tie: 0.2}",
          "26: slices: names no slice: give it a 'baseline:', whose failures are looked at, or 'discordant: true'"),
    suite("discordant-pairs-that-nobody-evaluates", "metrics: [auc]}", "metrics: [auc], slices: [discordant]}",
          "28: report.table1: the slice 'discordant' is not evaluated; add 'slices: {discordant: true}' to the suite"),
    suite("unknown-metric-in-the-report", "[auc]", "[acuracy]",
          "28: report.table1: metric 'acuracy' is unknown; did you mean 'accuracy' or 'pair_accuracy'?"),
    suite("unknown-metric-in-a-claim", "metric: auc", "metric: acu",
          "31: claims: metric 'acu' is unknown; did you mean 'auc'?"),
    suite("truth-of-a-metric-in-the-report", "truth: gold", "truth: preferred",
          "28: report.table1: metric 'auc' of 'pairs/test' is measured against 'gold', and the table asks for "
          "'preferred'; write truth: {pairs: gold}"),
    suite("truth-of-a-metric-in-a-claim", "data: shifted}", "data: pairs/test, truth: preferred}",
          "31: claims: metric 'auc' of 'pairs/test' is measured against 'gold', and the claim asks for 'preferred'; "
          "write truth: gold"),
    suite("data-of-a-metric-in-the-report", "pairs/test, shifted], truth: gold, metrics: [auc]",
          "pairs/test], metrics: [auc, starc]",
          "28: report.table1: metric 'starc' is not measured of 'pairs/test', but of 'shifted'"),
    suite("data-of-a-metric-in-a-claim", "metric: auc, data: shifted", "metric: starc, data: pairs/test",
          "31: claims: metric 'starc' is not measured of 'pairs/test', but of 'shifted'"),
    suite("unknown-data", "data: [shifted]}\nslices", "data: [shited]}\nslices",
          "25: evaluate: data 'shited' is unknown; did you mean 'shifted'?"),
    suite("unknown-data-in-a-claim", "data: shifted}", "data: shited}",
          "31: claims: data 'shited' is unknown; did you mean 'shifted'?"),
    suite("unknown-truth", "label: gold", "label: golden",
          "24: evaluate.0.label: needs 'preferred', 'gold' or 'gold:NAME', got 'golden'"),
    suite("unknown-truth-in-the-report", "truth: gold", "truth: golden",
          "28: report.table1.truth: needs 'preferred', 'gold' or 'gold:NAME', got 'golden'"),
    suite("unknown-truth-by-data", "truth: gold", "truth: {pairs: golden}",
          "28: report.table1.truth.pairs: needs 'preferred', 'gold' or 'gold:NAME', got 'golden'"),
    suite("truth-of-unknown-data", "truth: gold", "truth: {pirs: gold}",
          "28: report.table1: data 'pirs' is unknown; did you mean 'pairs'?"),
    suite("unknown-choice", "use: mlp", "use: mpl", "11: head.use: needs 'linear' or 'mlp', got 'mpl'"),
    # --- values
    suite("text-for-a-whole-number", "n: 50", "n: fifty", "6: models.0.n: needs a whole number, got 'fifty'"),
    suite("fraction-for-a-whole-number", "n: 50", "n: 50.5", "6: models.0.n: needs a whole number, got 50.5"),
    suite("text-for-a-number", "lr: 1e-3", "lr: fast", "13: training.lr: needs a number, got 'fast'"),
    suite("number-for-a-text", "name: small", "name: 3", "1: name: needs a text, got 3"),
    suite("number-for-a-list", "seeds: [0, 1]", "seeds: 3", "2: seeds: needs a list, got 3"),
    suite("nothing-for-a-list", "seeds: [0, 1]", "seeds:", "2: seeds: needs a list, got null"),
    suite("text-for-a-mapping", "head: {use: mlp, width: 8}", "head: mlp", "11: head: needs a mapping, got 'mlp'"),
    suite("text-for-a-part", "{name: length, use: length}", "length", "20: methods.2: needs a mapping, got 'length'"),
    suite("bool-for-a-whole-number", "n: 50", "n: true", "6: models.0.n: needs a whole number, got true"),
    suite("bool-for-a-number", "lr: 1e-3", "lr: false", "13: training.lr: needs a number, got false"),
    suite("date", "name: small", "name: 2020-01-01",
          "1: 2020-01-01 is a date, which nothing here needs; quote it to make it a text"),
    suite("too-small", "width: 8", "width: 0", "11: head.width: must be at least 1, got 0"),
    suite("not-positive", "lr: 1e-3", "lr: -1", "13: training.lr: must be greater than 0, got -1"),
    suite("too-large", "test: 0.2", "test: 1.5", "8: split.test: must be less than 1, got 1.5"),
    suite("too-many-digits", "n: 50", f"n: {10**30}",
          "6: a number has more than 18 digits; none of ours can be so large"),
    suite("nan", "lr: 1e-3", "lr: .nan", "13: training.lr: needs a finite number, got nan"),
    suite("infinity", "lr: 1e-3", "lr: -.inf", "13: training.lr: needs a finite number, got -inf"),
    suite("no-training-left", "test: 0.2", "test: 0.9",
          "8: split: validation and test take 100% of the pairs; leave some to train on"),
    suite("no-seeds", "seeds: [0, 1]", "seeds: []", "2: seeds: must not be empty"),
    suite("repeated-seed", "seeds: [0, 1]", "seeds: [1, 1]", "2: seeds: 1 is given twice"),
    suite("negative-seed", "seeds: [0, 1]", "seeds: [-1]", "2: seeds.0: must be at least 0, got -1"),
    suite("too-large-a-seed", "seeds: [0, 1]", "seeds: [40000]", "2: seeds.0: must be at most 32767, got 40000"),
    suite("one-method-for-two", "[me, mm]", "[me]", "29: report.table2.methods: has too few entries, got ['me']"),
    suite("three-methods-for-two", "[me, mm]", "[me, mm, length]",
          "29: report.table2.methods: needs at most 2 entries, got ['me', 'mm', 'length']"),
    suite("two-mistakes", "width: 8}\ntraining:\n  lr: 1e-3", "width: 0}\ntraining:\n  lr: x",
          "11: head.width: must be at least 1, got 0\nsuite.yaml:13: training.lr: needs a number, got 'x'"),
    # --- names and keys
    suite("duplicate-key", "seeds: [0, 1]", "seeds: [0]\nseeds: [1]", "3: key 'seeds' is given twice"),
    suite("duplicate-key-nested", "width: 8", "width: 8, width: 9", "11: key 'width' is given twice"),
    suite("duplicate-method", "name: me,", "name: mm,", "17: methods: the name 'mm' is given twice"),
    suite("duplicate-model", "split:", "  - {name: toy, use: toy-comments}\nsplit:",
          "3: models: the name 'toy' is given twice"),
    suite("duplicate-encoder", "head:", "  - {name: tfidf, use: tfidf}\nhead:",
          "9: encoders: the name 'tfidf' is given twice"),
    suite("duplicate-claim", "claims:\n", "claims:\n  - {id: c1, better: me, than: mm, metric: auc, data: shifted}\n",
          "32: claims: the id 'c1' is given twice"),
    suite("name-with-a-space", "name: me,", "name: max entropy,", f"19: methods.1.name: {NAMES}, got 'max entropy'"),
    suite("name-of-a-testset", "shifted: {", "a/b: {", f"22: testsets.a/b: {NAMES}, got 'a/b'"),
    suite("testset-named-pairs", "shifted: {", "pairs: {", "22: a test set cannot be named 'pairs'"),
    suite("realigning-nothing", "{use: fidelity, data: [shifted]}", "{use: realignment}",
          "25: evaluate: 'realignment' needs an aligner: the expert of model 'toy' is none, name an 'aligner'"),
    suite("tokens-of-no-models", "{use: fidelity, data: [shifted]}", "{use: token-log-ratio, data: [pairs/test]}",
          "25: evaluate: model 'toy': evaluator 'token-log-ratio' needs the language models that the pairs come from, "
          "and source 'toy-comments' knows none; name them in the evaluator, or leave it out"),
    suite("no-use", "name: me, use: max-entropy", "name: me", "19: methods.1: names no method: add 'use: NAME'"),
    suite("no-name", "name: me, use: max-entropy", "use: max-entropy", "19: methods.1: needs a 'name:' for the tables"),
    suite("no-name-of-the-suite", "name: small\n", "", "1: 'name' is missing"),
    suite("no-methods", METHODS, "", "1: 'methods' is missing"),
    suite("empty-methods", METHODS, "methods: []\n", "17: methods: must not be empty"),
    suite("missing-field", " metric: auc,", "", "31: claims.0: 'metric' is missing"),
    suite("measured-twice", "  - {use: fid", "  - {use: classification, data: [shifted], label: gold}\n  - {use: fid",
          "25: evaluate: 'classification' measures 'shifted' against gold twice"),
    # --- the file
    command("no-suite", "check gone.yaml", "gone.yaml: cannot be read: No such file or directory"),
    command("folder-for-a-suite", "check .", ".: cannot be read: Is a directory"),
    suite("empty-suite", SUITE, "", "1: is empty or no mapping; a suite starts with 'name: ...'"),
    suite("suite-no-mapping", SUITE, "- a\n- b\n", "1: is empty or no mapping; a suite starts with 'name: ...'"),
    suite("tab", "  lr:", "\tlr:", "13: is not YAML: found character '\\t' that cannot start any token"),
    suite("indent", "seeds:", "  seeds:", "2: is not YAML: mapping values are not allowed here"),
    suite("unclosed", "[0, 1]", "[0, 1", "3: is not YAML: expected ',' or ']', but got ':'"),
    suite("two-documents", "seeds", "---\nseeds",
          "2: is not YAML: expected a single document in the stream, but found another document"),
    suite("tagged", "name: small", "name: !!python/name:os.system x",
          "1: a value tagged '!!python/name:os.system' is no text, number, list or mapping"),
    suite("no-character", "name: small", 'name: "a\\0b"', "1: 'a\\x00b' holds what is no character"),
    suite("suite-not-utf-8", "", "", "2: is not UTF-8; convert the file", suite_yaml=b"name: x\nhead: caf\xe9\n"),
    suite("another-yaml", "name: small", "%YAML 1.1\n---\nname: small", "")._replace(
        said="suite.yaml:1: asks for another YAML than 1.2, in which a suite is written; remove the '%YAML' line"),
    suite("no-character-in-a-key", "name: small", 'name: small\n"\\ud800": x',
          "2: '\\ud800' holds what is no character"),
    suite("too-deep", "[0, 1]", "[" * 400 + "]" * 400, "")._replace(
        said="suite.yaml:2: is nested too deeply: more than 60 lists and mappings in one another"),
    suite("circular-extends", "name: small", "extends: other.yaml",
          "1: 'extends' goes round in a circle: 'suite.yaml' leads back to this file",
          other_yaml="extends: suite.yaml\n")._replace(
              said="{tmp}/other.yaml:1: 'extends' goes round in a circle: 'suite.yaml' leads back to this file"),
    suite("missing-extends", "name: small", "extends: gone.yaml",
          "1: 'extends' names 'gone.yaml', which does not exist beside this file"),
    suite("mistake-in-what-is-extended", "name: small\nseeds: [0, 1]", "name: small\nextends: other.yaml", "",
          other_yaml="# seeds\nseeds: [-3]\n")._replace(said="{tmp}/other.yaml:2: seeds.0: must be at least 0, got -3"),
    suite("unset-variable", "name: small", "name: ${FAIRL_NOT_SET}",
          "1: ${FAIRL_NOT_SET} is not set; set it: FAIRL_NOT_SET=... fairl-bench ..."),
    suite("unquoted-variable", "toy-truth}\nsplit", "${FAIRL_NOT_SET}}\nsplit",
          "7: is not YAML: expected ',' or '}', but got '{'; quote a text with ${...} in it"),
    # --- data
    data("no-data", "pairs.jsonl", None, "suite.yaml:4: models.0: "
         "{tmp}/pairs.jsonl cannot be read: No such file or directory"),
    data("no-test-data", "texts.jsonl", None, "suite.yaml:8: testsets.texts: "
         "{tmp}/texts.jsonl cannot be read: No such file or directory"),
    data("folder-for-data", "x", "", "suite.yaml:4: models.0: "
         "{tmp} cannot be read: Is a directory", "path: pairs.jsonl", "path: ."),
    data("no-path", "x", "", "suite.yaml:4: models.0: 'path' is missing", " path: pairs.jsonl,", ""),
    data("empty-path", "x", "", "suite.yaml:4: models.0.path: must not be empty", "path: pairs.jsonl", "path: ''"),
    data("no-row", "pairs.jsonl", "\n\n", "suite.yaml:4: models.0: {tmp}/pairs.jsonl holds no row"),
    data("broken-json", "pairs.jsonl", PAIRS + '{"chosen": "a", \n',
         "{tmp}/pairs.jsonl:21: is not JSON: expecting property name enclosed in double quotes, at character 16"),
    data("json-no-object", "pairs.jsonl", PAIRS + '["chosen"]\n',
         """{tmp}/pairs.jsonl:21: needs a JSON object, got '["chosen"]'"""),
    data("nan-in-json", "texts.jsonl", TEXTS + '{"text": "x", "toxic": NaN}\n',
         "{tmp}/texts.jsonl:3: is not JSON: NaN is not a number"),
    data("data-not-utf-8", "pairs.jsonl", PAIRS.encode() + b'{"chosen": "caf\xe9", "rejected": "b"}\n',
         "{tmp}/pairs.jsonl:21: is not UTF-8; convert the file"),
    data("missing-column", "x", "", "{tmp}/pairs.jsonl:1: no column 'choosen'; did you mean 'chosen'?",
         "path: pairs.jsonl", "path: pairs.jsonl, columns: {preferred: choosen}"),
    data("missing-column-of-labels", "x", "", "{tmp}/texts.jsonl:1: no column 'toxik'; did you mean 'toxic'?",
         "column: toxic", "column: toxik"),
    data("fraction-for-a-label", "texts.jsonl", TEXTS + '{"text": "x", "toxic": 0.5}\n',
         "{tmp}/texts.jsonl:3: column 'toxic' has 0 (1×), 1 (1×), 0.5 (1×), and 0.5 is named neither good nor bad nor "
         "unknown; say what each value means under 'good', 'bad' and 'unknown', typed as it stands there"),
    data("value-of-no-type", "x", "",
         "suite.yaml:8: testsets.texts.gold.good: needs a whole number, a text, true or false, a number or a list, "
         "got {'of': 1}",
         "good: 0", "good: {of: 1}"),
    data("number-for-a-text-in-data", "pairs.jsonl", PAIRS + '{"chosen": 3, "rejected": "b"}\n',
         "{tmp}/pairs.jsonl:21: column 'chosen' needs a text, got 3"),
    data("empty-text", "pairs.jsonl", PAIRS + '{"chosen": " ", "rejected": "b"}\n',
         "{tmp}/pairs.jsonl:21: column 'chosen' is empty; remove the row or fill it, or set 'empty: drop'"),
    data("equal-texts", "pairs.jsonl", PAIRS + '{"chosen": "same", "rejected": "same"}\n',
         "{tmp}/pairs.jsonl:21: both texts of the pair are equal; mend the row, or set 'identical: drop'"),
    data("csv-row-too-short", "pairs.csv", "chosen,rejected\na,b\nc\n",
         "{tmp}/pairs.csv:3: has not as many cells as the header has names",
         "use: jsonl, path: pairs.jsonl", "use: csv, path: pairs.csv"),
    data("texts-have-no-preferred", "x", "",
         "suite.yaml:10: evaluate: test set 'texts' has no truth 'preferred': only pairs have; use 'gold'",
         "data: [texts], label: gold", "data: [texts], label: preferred"),
    data("no-judge", "x", "",
         "suite.yaml:10: evaluate: data 'pairs/train' has no truth 'gold': model 'people' has no judge; "
         "give it a 'gold:'", ", gold: {use: role}", ""),
    suite("no-hub", "use: tfidf, dimensions: 16", "use: sentence-transformer, model: nobody/nothing", "")._replace(
        said="suite.yaml:10: encoders.0: "
        "model 'nobody/nothing' is no folder, is not on this machine and the hub cannot be reached; "
        "name a local folder"),
    # --- plugins
    suite("no-plugin", "name: small", PLUGIN, "1: plugin 'my.py' does not exist"),
    suite("plugin-collides", "name: small", PLUGIN, "", my_py=METHOD + HOOK.format("length"))._replace(
        said="suite.yaml:1: "
        "method 'length' is registered by both fairl_bench.builtin and {tmp}/my.py; rename one of them"),
    suite("plugin-broken", "name: small", PLUGIN, "", my_py="import nothing_like_it\n")._replace(
        said="suite.yaml:1: plugin {tmp}/my.py is broken: ModuleNotFoundError: No module named 'nothing_like_it'"),
    suite("plugin-exits", "name: small", PLUGIN, "", my_py="raise SystemExit(3)\n")._replace(
        said="suite.yaml:1: plugin {tmp}/my.py is broken: SystemExit: 3"),
    suite("plugin-hook-misspelt", "name: small", PLUGIN, "",
          my_py=METHOD + HOOK.format("m").replace("_methods", "_methds"))._replace(
        said="suite.yaml:1: plugin {tmp}/my.py has an unknown hook 'fairl_methds'; "
        "did you mean 'fairl_methods' or 'fairl_lms'?"),
    suite("plugin-hook-of-another-argument", "name: small", PLUGIN, "",
          my_py=METHOD + HOOK.format("m").replace("register", "registr"))._replace(
        said="suite.yaml:1: plugin {tmp}/my.py is broken: PluginValidationError: "
        "Argument(s) {'registr'} are declared in the hookimpl but can not be found in the hookspec"),
    suite("plugin-no-python", "name: small", "plugins: [my.txt]\nname: small", "", my_txt="hello")._replace(
        said="suite.yaml:1: plugin {tmp}/my.txt is not a Python file"),
    suite("plugin-part-not-whole", METHODS, "plugins: [my.py]\nmethods: [{name: m, use: m}]\n",
          "18: methods.0: method 'm' of {tmp}/my.py is not whole: M must define fit",
          my_py=METHOD.replace("fit", "fitt") + HOOK.format("m")),
    suite("plugin-part-refuses-a-value", METHODS, "plugins: [my.py]\nmethods: [{name: m, use: m, k: 3}]\n",
          "18: methods.0.k: must be even, got 3",
          my_py=EVEN + HOOK.format("m")),
    # --- the command line
    command("results-of-another-suite", "run suite.yaml --results r",
            "r holds the results of suite 'other', not of 'small'; name another folder with --results, or overwrite "
            "it with --replace-results", r_suite="")._replace(
                files={"r/suite.yaml": "name: other\n", "r/run.json": '{"suite": "other"}'}),
    command("a-suite-in-the-place-of-results", "run suite.yaml --results r",
            "r/suite.yaml is a file that no run has written, in the place of a file of this run; move it away, or name "
            "another folder with --results", r_suite="")._replace(files={"r/suite.yaml": "name: other\n"}),
    command("results-below-a-file", "run suite.yaml --results file/r",
            "the results folder file/r cannot be written: Not a directory; name another with --results", file="x"),
    command("store-below-a-file", "check suite.yaml --store file/s",
            "the store file/s cannot be made: Not a directory; name another with --store", file="x"),
    command("set-without-a-value", "check suite.yaml --set head.width",
            "--set head.width: needs path.to.field=value"),
    command("set-nowhere", "check suite.yaml --set hed.width=3",
            "--set hed.width=3: unknown field 'hed'; did you mean 'head'?"),
    command("set-of-an-unknown-method", "check suite.yaml --set methods.lenght.unit=words",
            "--set methods.lenght.unit=words: 'methods.lenght.unit' leads nowhere at 'lenght'; did you mean 'length'?"),
    command("set-of-an-unknown-field", "check suite.yaml --set methods.mm.margn=3",
            "--set methods.mm.margn=3: methods.0: unknown field 'margn'; did you mean 'margin'?"),
    command("set-to-a-bad-value", "check suite.yaml --set head.width=wide",
            "--set head.width=wide: head.width: needs a whole number, got 'wide'"),
    command("set-to-no-yaml", "check suite.yaml --set head.width=[8", "--set head.width=[8: '[8' is not YAML"),
    command("set-to-an-unset-variable", "check suite.yaml --set 'name=${FAIRL_NOT_SET}'",
            "--set name=${FAIRL_NOT_SET}: ${FAIRL_NOT_SET} is not set; set it: FAIRL_NOT_SET=... fairl-bench ..."),
    command("only-of-an-unknown-axis", "run suite.yaml --only methods=mm",
            "only: axis 'methods' is unknown; did you mean 'method'?"),
    command("only-of-nothing", "run suite.yaml --only method=", "--only method=: needs method=VALUE"),
    command("only-without-an-axis", "run suite.yaml --only focal",
            "--only focal: needs AXIS=VALUE, with an AXIS of model, encoder, method, replicate, seed"),
    command("only-of-an-unknown-method", "run suite.yaml --only method=mm,lenght",
            "only: method 'lenght' is unknown; did you mean 'length'?"),
    command("only-of-an-unknown-seed", "run suite.yaml --only seed=7",
            "only: seed '7' is unknown; known: '0', '1'"),
    command("unknown-kind", "list encodr", "kind 'encodr' is unknown; did you mean 'encoder'?"),
    command("unknown-part", "show tfdif", "part 'tfdif' is unknown; did you mean 'tfidf'?"),
    # --- product, exclude, defaults
    suite("product-of-an-unknown-path", "split:", "product: {hed.width: [1]}\nsplit:",
          "8: unknown field 'hed'; did you mean 'head'?"),
    suite("product-of-an-unknown-method", "split:", "product: {methods.lenght.unit: [words]}\nsplit:",
          "8: 'methods.lenght.unit' leads nowhere at 'lenght'; did you mean 'length'?"),
    suite("product-of-a-bad-value", "split:", "product: {head.width: [8, 0]}\nsplit:",
          "8: head.width: must be at least 1, got 0"),
    suite("product-of-nan", "split:", "product: {training.lr: [.nan]}\nsplit:",
          "8: training.lr: needs a finite number, got nan"),
    suite("product-of-nothing", "split:", "product: {head.width: []}\nsplit:",
          "8: 'product' needs lists of values by path"),
    suite("product-no-mapping", "split:", "product: [1]\nsplit:", "8: product: needs a mapping, got [1]"),
    suite("product-of-defaults", "split:", "product: {defaults.max-margin.margin: [1]}\nsplit:",
          "8: 'product' cannot vary 'defaults'"),
    suite("exclude-of-an-unknown-path", "split:", "product: {head.width: [4, 8]}\nexclude: [{head.widht: 4}]\nsplit:",
          "9: 'exclude' names 'head.widht'; did you mean 'head.width'?"),
    suite("exclude-of-no-point", "split:", "product: {head.width: [4, 8]}\nexclude: [{head.width: 5}]\nsplit:",
          "9: 'exclude' names no point of the product"),
    suite("exclude-of-everything", "split:", "product: {head.width: [4]}\nexclude: [{head.width: 4}]\nsplit:",
          "9: 'exclude' leaves no point of the product"),
    suite("defaults-of-an-unknown-method", "  max-margin: {", "  max-margn: {",
          "16: defaults: method 'max-margn' is unknown; did you mean 'max-margin'?"),
    suite("defaults-of-an-unknown-field", "{margin: 0.8}", "{margn: 0.8}",
          "16: methods.0: unknown field 'margn'; did you mean 'margin'?"),
    suite("defaults-of-a-method-that-is-not-used", "  max-margin: {margin: 0.8}", "  mean-difference: {margin: 0.8}",
          "16: defaults.mean-difference: field 'margin' is unknown; known: 'resources'"),
    # --- judges and data of the hub
    data("judge-not-here", "x", "",
         "suite.yaml:4: models.0.gold: "
         "model 'nobody/nothing' is no folder, is not on this machine and the hub cannot be reached; "
         "name a local folder", "use: role", "use: sequence-classifier, model: nobody/nothing"),
    data("judge-of-two-labels", "x", "",
         "suite.yaml:4: models.0.gold: 'good' and 'bad' are both given; one label decides",
         "use: role", "use: sequence-classifier, good: 0, bad: 1"),
    data("judge-not-fetched-unasked", "x", "",
         "suite.yaml:4: models.0: "
         "judge 'detoxify' needs the checkpoint of its model 'unbiased', a pickle, which is not fetched unasked; "
         "name the file under 'checkpoint:', or set 'download: true'", "use: role", "use: detoxify, model: unbiased"),
    data("judge-without-comments", "x", "", "suite.yaml:4: models.0.gold: "
         "{tmp}/gone.jsonl cannot be read: No such file or directory",
         "use: role", "use: linear, path: gone.jsonl, gold: {column: toxic, good: 0}"),
    data("judge-of-a-column-not-there", "x", "", "{tmp}/texts.jsonl:1: no column 'toxik'; did you mean 'toxic'?",
         "use: role", "use: linear, path: texts.jsonl, gold: {column: toxik, good: 0}"),
    data("judge-of-no-column", "x", "", "suite.yaml:4: models.0.gold: 'gold' is missing",
         "use: role", "use: linear, path: texts.jsonl"),
    data("hub-data-not-here", "x", "",
         "suite.yaml:4: models.0: data set 'nobody/pairs' is not on this machine and the hub cannot be reached; "
         "name a copy of it under 'local:'",
         "use: jsonl, path: pairs.jsonl", "use: hub-dataset, dataset: nobody/pairs"),
    data("hub-data-of-two-prompts", "x", "",
         "suite.yaml:4: models.0: layout 'transcripts' does not read 'columns.prompt'; leave it out, or name "
         "another layout",
         "use: jsonl, path: pairs.jsonl",
         "use: hub-dataset, dataset: a/b, layout: transcripts, columns: {prompt: prompt}"),
    data("copy-of-hub-data-not-here", "x", "", "suite.yaml:4: models.0: "
         "{tmp}/gone cannot be read: No such file or directory",
         "use: jsonl, path: pairs.jsonl", "use: hub-dataset, dataset: a/b, local: gone"),
    data("column-of-hub-data", "x", "",
         "suite.yaml:4: models.0: {tmp}/pairs.jsonl, split 'train', row 0: no column 'chosn'; did you mean 'chosen'?",
         "use: jsonl, path: pairs.jsonl",
         "use: hub-dataset, dataset: a/b, local: pairs.jsonl, columns: {preferred: chosn}"),
    data("split-of-hub-data", "copy/test.jsonl", PAIRS, "suite.yaml:4: models.0: "
         "{tmp}/copy has no split 'tset'; did you mean 'test'?",
         "use: jsonl, path: pairs.jsonl", "use: hub-dataset, dataset: a/b, local: copy, split: tset"),
    # --- served language models, and one that embeds
    served("served-by-no-url", "url: 'http://b/v1'", "url: localhost:8000",
           ".base.url: needs a base URL like http://localhost:8000/v1"),
    served("served-with-a-password", "url: 'http://b/v1'", "url: 'http://me:secret@a/v1'",
           ".base.url: must hold no user, password or query; the key belongs in the variable that 'api_key_env' names"),
    served("served-with-the-key-itself", "model: b", "model: b, api_key_env: sk-secret",
           ".base.api_key_env: needs the name of an environment variable in capitals, like OPENAI_API_KEY; "
           "never the key itself"),
    served("served-top-k", "n: 9", "sampling: {top_k: 50}",
           ": server 'openai' knows no top_k, got 50; set 'top_k: 0', or name another 'server'"),
    served("served-without-a-model", ", model: b", "", ".base: 'model' is missing"),
    served("served-by-an-unknown-server", "model: b", "model: b, server: vlm",
           ".base.server: needs 'openai', 'vllm', 'tgi', 'llama.cpp' or 'transformers', got 'vlm'"),
    served("served-by-a-trained-model", "{url: 'http://b/v1', model: b}", "{use: pretrained, model: b}",
           ".base: needs a CompletionsApi, which lm 'pretrained' is not"),
    served("served-key-not-set", "model: b", "model: b, api_key_env: FAIRL_NOT_SET", "")._replace(
        said="suite.yaml:4: models.0.base: "
             "the key of language model 'b' is not set; set it: FAIRL_NOT_SET=... fairl-bench ..."),
    data("encoder-without-its-model", "x", "", "suite.yaml:5: encoders.0: 'lm' is missing",
         "use: tfidf, dimensions: 4", "use: causal-lm"),
    data("encoder-of-unknown-pooling", "x", "",
         "suite.yaml:5: encoders.0.pooling: needs 'mean', 'weighted-mean', 'last' or 'first', got 'max'",
         "use: tfidf, dimensions: 4", "use: causal-lm, pooling: max, lm: {use: pretrained, model: m}"),
    data("encoder-of-a-model-not-here", "x", "",
         "suite.yaml:5: encoders.0.lm: "
         "language model 'nobody/nothing' is no folder, is not on this machine and the hub cannot be reached; "
         "name a local folder",
         "use: tfidf, dimensions: 4", "use: causal-lm, lm: {use: pretrained, model: nobody/nothing}"),
    # --- language models of one's own
    data("gguf-that-is-not-there", "x", "", "suite.yaml:5: encoders.0.lm: "
         "language model '{tmp}/m.gguf': there is no file {tmp}/m.gguf; name one that is there",
         "use: tfidf, dimensions: 4", "use: causal-lm, lm: {use: pretrained, model: m.gguf}"),
    data("gguf-that-is-none", "m.gguf", b"PK", "suite.yaml:5: encoders.0.lm: "
         "language model '{tmp}/m.gguf' is no GGUF file: it does not begin with 'GGUF'; name one that does",
         "use: tfidf, dimensions: 4", "use: causal-lm, lm: {use: pretrained, model: m.gguf}"),
    data("adapter-without-its-base", "m/adapter_config.json", '{"base_model_name_or_path": "a/b"}',
         "suite.yaml:5: encoders.0.lm: language model '{tmp}/m' is an adapter of 'a/b', which is no folder beside it, "
         "is not on this machine and the hub cannot be reached; name it as 'base: {use: pretrained, model: FOLDER}'",
         "use: tfidf, dimensions: 4", "use: causal-lm, lm: {use: pretrained, model: m}"),
]  # fmt: skip


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], None]:
    """Writes the suite of a case, spoilt, and its files, into the test's folder."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def write(case: Case) -> None:
        if case.old:
            assert case.base.count(case.old) == 1
        written = {
            "suite.yaml": case.base.replace(case.old, case.new) if case.old else case.base,
            "pairs.jsonl": PAIRS,
            "texts.jsonl": TEXTS,
            **case.files,
        }
        for name, content in written.items():
            if content is not None:
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_mistake_is_told_in_these_words(
    case: Case, spoil: Callable[[Case], None], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(case)
    ran = cli(*shlex.split(case.command))
    assert ran.stderr == f"error: {case.said}\n".replace("{tmp}", str(tmp_path))
    assert (ran.exit_code, ran.stdout) == (case.code, "")


@pytest.mark.parametrize("base", [SUITE, FILES], ids=["toy", "files"])
def test_the_suites_that_are_spoilt_are_sound(base: str, spoil: Callable[[Case], None], cli: Cli) -> None:
    spoil(Case("sound", "", "", "", base=base))
    ran = cli("check", "suite.yaml")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("suite.yaml: fine; ")


def test_the_table_is_whole_and_every_message_is_short_and_plain() -> None:
    assert len(CASES) >= 45
    assert len({case.id for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.said.count("\n") == (case.id == "two-mistakes"), case.id
        assert re.search(r"Traceback|pydantic|[vV]alue[_ ]error|type=|input should|None\b", case.said) is None, case.id


# --- what only a run can find


def failures(ran: Result) -> list[str]:
    """What a run complains of when it ends: progress apart."""
    lines = ran.stderr.splitlines()
    return lines[max(i for i, line in enumerate(lines) if line.startswith("[")) + 1 :]


def test_a_judge_of_pairs_on_texts_fails_what_needs_it_alone(spoil: Callable[[Case], None], cli: Cli) -> None:
    spoil(Case("", "n: 40, gold: {use: toy-truth}", "n: 40, gold: {use: role}", ""))
    ran = cli("run", "suite.yaml", "--only", "method=length")
    assert ran.exit_code == 1
    assert "failed: texts of shifted, replicate 0: judge 'role' needs pairs; 40 texts are in none\n" in ran.stderr
    assert "1 stages failed, 8 were skipped for it; logs in results/small/logs" in failures(ran)
    assert "Traceback" not in ran.output


def test_a_file_that_is_spoilt_after_its_first_rows_is_found_before_a_run_starts(
    spoil: Callable[[Case], None], cli: Cli, tmp_path: Path
) -> None:
    spoil(data("", "pairs.jsonl", PAIRS * 51 + '{"chosen": "same", "rejected": "same"}\n', ""))
    checked, ran = cli("check", "suite.yaml"), cli("run", "suite.yaml")
    said = f"{tmp_path}/pairs.jsonl:1021: both texts of the pair are equal; mend the row, or set 'identical: drop'"
    for told in (checked, ran):
        assert (told.exit_code, told.stderr) == (2, f"error: {said}\n")


def test_a_threshold_of_one_class_is_no_number_with_its_reason(
    spoil: Callable[[Case], None], cli: Cli, tmp_path: Path
) -> None:
    one_class = "".join(line.replace('"toxic": 0', '"toxic": 1') + "\n" for line in TEXTS.splitlines())
    spoil(data("", "texts.jsonl", one_class, "", "data: pairs/train, label: gold", "data: texts, label: gold"))
    ran = cli("run", "suite.yaml")
    assert (ran.exit_code, ran.stdout.count("n/a")) == (0, 2)
    found = {row.metric: row for row in read_results(tmp_path / "results" / "files").records}
    assert found["threshold"].value != found["threshold"].value  # NaN
    reasons = {metric: found[metric].note for metric in ("threshold", "accuracy", "auc")}
    assert reasons == {
        "threshold": "no threshold on texts: a threshold needs good and bad texts, got 2 all bad",
        "accuracy": "no threshold on texts: a threshold needs good and bad texts, got 2 all bad",
        "auc": "AUC needs good and bad texts, got 2 all bad",
    }


def test_a_test_set_of_one_class_has_an_accuracy_and_no_auc(
    spoil: Callable[[Case], None], cli: Cli, tmp_path: Path
) -> None:
    spoil(data("", "texts.jsonl", TEXTS.replace('"toxic": 0', '"toxic": 1'), ""))
    assert cli("run", "suite.yaml").exit_code == 0
    found = {row.metric: row for row in read_results(tmp_path / "results" / "files").records}
    assert 0 <= found["accuracy"].value <= 1
    assert found["auc"].value != found["auc"].value  # NaN
    assert found["auc"].note == "AUC needs good and bad texts, got 2 all bad"


def test_only_what_no_cell_has_all_of_is_refused(spoil: Callable[[Case], None], cli: Cli) -> None:
    product = "product: {models.0.name: [a, b], methods.0.name: [c, d]}\n"
    exclude = "exclude: [{models.0.name: a, methods.0.name: c}]\n"
    spoil(Case("", SUITE[SUITE.index("slices") :], product + exclude, ""))
    ran = cli("run", "suite.yaml", "--only", "model=a", "--only", "method=c")
    assert (ran.exit_code, ran.stderr) == (2, "error: only: no cell has all of model 'a', method 'c'\n")
