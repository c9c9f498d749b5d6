"""The language model `completions-api`, which lies where a source can name it too."""

from fairl_bench.builtin.shared.served import CompletionsApi

__all__ = ["CompletionsApi"]
