"""A recovered reward as a function of any text: what a method has learnt, and all that its score reads."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fairl_bench.errors import DataError, FairlError, NotFinite
from fairl_bench.guards.isolation import prints_to_stderr
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.method import Method
from fairl_bench.reward.given import given, is_given_prompts, reads_prompts
from fairl_bench.values.data import Examples, Floats, Vectors
from fairl_bench.values.training import Inputs, Reward

Written = str | Sequence[Mapping[str, Any]]
"""A text, or a conversation: messages with a ``content``."""


@dataclass(frozen=True)
class RecoveredReward:
    """The reward of any text: a method, what it has learnt, and the encoder whose vectors it reads.

    ``corpus`` holds the texts that a fitted encoder learns from, ``upstream`` the language models that it starts from.
    A method that reads no vectors needs no encoder.  ``method_upstream`` holds what the method's score needs of its
    `upstream`: the folder of each language model, None for one behind a server.  Called, it is a reward function as
    TRL takes it.
    """

    method: Method
    encoder: Encoder | None
    reward: Reward
    embed: Literal["completion", "prompt+completion"] = "completion"
    corpus: tuple[str, ...] = ()
    upstream: Mapping[str, Any] = field(default_factory=dict)
    name: str = "recovered"
    method_upstream: Mapping[str, Any] = field(default_factory=dict)

    @property
    def __name__(self) -> str:
        """What TRL calls it in its logs."""
        return self.name

    @cached_property
    def reads_prompts(self) -> bool:
        """Whether it depends on prompts: its encoder, its method or a language model of the method reads them."""
        return self.embed == "prompt+completion" or reads_prompts(self.method)

    def __call__(
        self, completions: Sequence[Written], prompts: Sequence[Written] | None = None, **_: object
    ) -> list[float]:
        """The reward of each completion.  TRL gives these two by name, beside columns that are not read.

        Each is a text or a conversation, whose messages are joined by line breaks.  Space around a text is left out,
        as aligners do.  Raises `DataError` where a reward of prompt and completion is given no prompts.
        """
        if isinstance(completions, str) or isinstance(prompts, str):
            raise DataError(f"reward {self.name!r} needs lists of texts, got one text; write reward([text])")
        if prompts is None and self.reads_prompts:
            raise DataError(f"reward {self.name!r} reads prompts and completions; give it prompts=[...] too")
        if prompts is not None and len(prompts) != len(completions):
            raise DataError(
                f"reward {self.name!r} needs a prompt for each completion, got {len(prompts)} and {len(completions)}"
            )
        texts = tuple(text_of(completion).strip() for completion in completions)
        rewards: list[float] = self.values(Examples(texts, tuple(map(text_of, prompts or ())))).tolist()
        return rewards

    def values(self, examples: Examples) -> Floats:
        """The reward of each example ``[n]``; equal ones are scored once.  Raises `DataError` and `NotFinite`."""
        if not len(examples):
            return np.empty(0)
        keys = self._keys(examples)
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        row = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        values = self._scored(examples.take(np.array([first[key] for key in row])))
        for key, value in zip(row, values, strict=True):
            if not np.isfinite(value):
                text = examples.text[first[key]]
                raise NotFinite(f"method {self.method.use!r} rewards {text[:60]!r} with {value}; keep rewards finite")
        return values[[row[key] for key in keys]]

    def _keys(self, examples: Examples) -> Sequence[Hashable]:
        """What the reward of each example depends on, as in a suite: the text that the encoder reads.

        Where the method is given prompts, it is the prompt and the text, with its tokens where they are known.
        """
        if not is_given_prompts(self.method):
            return examples.inputs(self.embed)
        drawn = examples.drawn
        tokens = [()] * len(examples) if drawn is None else [(drawn.ended[i], *drawn.of(i)) for i in range(len(drawn))]
        return list(zip(examples.prompt, examples.text, tokens, strict=True))

    def _scored(self, examples: Examples) -> Floats:
        """The method's answer.  Raises `DataError` where the parts of a reward do not fit together."""
        n = len(examples)
        try:
            with prints_to_stderr(), given(self.method, self.method_upstream, examples) as more:
                reward, vectors = self.reward.kept(), self._vectors(examples.inputs(self.embed))
                prompt = examples.prompt if is_given_prompts(self.method) else ()
                inputs = Inputs(examples.text, vectors, prompt, more.likelihoods, more.upstream)
                with unchanged_by(self.method, reward=reward, inputs=inputs):
                    values = np.asarray(self.method.score(reward, inputs))
        except DataError as error:
            raise DataError(f"method {self.method.use!r} of reward {self.name!r}: {error}") from error
        except FairlError:
            raise
        except Exception as error:  # arrays that the method does not know, or of another shape
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(
                f"{reason:.200}: so ends method {self.method.use!r} of reward {self.name!r}, or what it reads; its "
                "files do not fit together, or that part is broken"
            ) from error
        if values.shape != (n,) or values.dtype.kind not in "fiub":
            raise DataError(
                f"reward {self.name!r} needs a number for each text, and its method {self.method.use!r} gives "
                f"{values.dtype} of shape {list(values.shape)} for {n} texts"
            )
        return values.astype(np.float64)

    def _vectors(self, texts: tuple[str, ...]) -> Vectors:
        """The vector of each text; equal texts are embedded once."""
        if self.encoder is None or not self.method.reads_vectors:
            return np.empty((len(texts), 0), np.float32)
        row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        with unchanged_by(self.encoder, upstream=self.upstream):
            vectors = np.asarray(self.encoder.encode(tuple(row), self.corpus, **self.upstream), np.float32)
        return vectors if len(row) == len(texts) else vectors[[row[text] for text in texts]]


def text_of(value: Written) -> str:
    """The text of a message or of a conversation.  Raises `DataError` for contents that are no text.

    >>> text_of([{"role": "user", "content": "Hello"}, {"role": "user", "content": [{"type": "text", "text": "you"}]}])
    'Hello\\nyou'
    """
    if isinstance(value, str):
        return value
    messages = [message for message in value if isinstance(message, Mapping)] if isinstance(value, Sequence) else None
    if messages is not None and len(messages) == len(value):
        return "\n".join(_content(message.get("content")) for message in messages)
    raise DataError(f"a reward needs a text or a list of messages, got {value!r:.60}")


def _content(content: object) -> str:
    if content is None:  # a message that only calls a tool
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and all(isinstance(part, Mapping) and "text" in part for part in content):
        return "".join(str(part["text"]) for part in content)
    raise DataError(f"a reward reads text alone, got a message of {content!r:.60}")
