"""How long completions take, ours against `generate` of transformers: ``python benchmarks/completions.py``.

The same prompts, 64 at a time, 24 tokens each, drawn from the whole distribution on one thread: everyday openings that
all differ, and a quarter as many of which each is completed four times.  ``--against`` measures an older checkout too;
all take turns in one run, and the medians of CPU seconds are compared; on a GPU, of seconds.  Nothing fails on a time.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from real_model import SMOLLM2, Before, arguments, folder, named, openings, seconds, serve, tell

BATCH, TOKENS = 64, 24
CASES = {"different prompts": 1, "each prompt four times": 4}  # completions of a prompt


def generated(model: Any, tokenizer: Any, prompts: list[str]) -> int:
    """Complete by `generate`; how many tokens that were."""
    found = 0
    for start in range(0, len(prompts), BATCH):
        read = tokenizer(prompts[start : start + BATCH], return_tensors="pt", padding=True).to(model.device)
        with torch.inference_mode():
            drawn = model.generate(
                **read, do_sample=True, top_k=0, max_new_tokens=TOKENS, pad_token_id=tokenizer.pad_token_id
            )
        found += _counted(drawn[:, read["input_ids"].shape[1] :], model.generation_config.eos_token_id)
    return found


def ours(model: Any, tokenizer: Any, prompts: list[str]) -> int:
    """Complete by `draw`; how many tokens that were."""
    from fairl_bench.science.generation import draw

    uniform = np.random.default_rng(0).random((len(prompts), TOKENS))
    return sum(_counted(one.new, list(one.ends)) for one in draw(model, tokenizer, prompts, uniform, batch=BATCH))


def _counted(drawn: torch.Tensor, ends: int | list[int]) -> int:
    """How many tokens stand before the end of each text, and it."""
    over = torch.isin(drawn, torch.tensor(ends, device=drawn.device)).cumsum(1)
    return int((over == 0).sum() + (over[:, -1] > 0).sum())


def main() -> None:
    """Measure, print and keep."""
    from fairl_bench.science.generation import load

    parser = arguments(__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", default=SMOLLM2, help="a folder, or the name of a package's model")
    parser.add_argument("-n", type=int, default=BATCH, help="completions")
    given = parser.parse_args()
    place = folder(given.model, given.made)
    model, tokenizer = load(place, given.dtype)
    prompts = {case: openings(given.n // each) * each for case, each in CASES.items()}
    if given.serve:
        serve(lambda case: seconds(partial(ours, model, tokenizer, prompts[case])))
        return
    options = [str(place), "-n", str(given.n), "--dtype", given.dtype]
    before = Before(given.against, __file__, options) if given.against else None
    ours(model, tokenizer, prompts["different prompts"][:2])  # warm
    for case, texts in prompts.items():
        told: dict[str, list[float]] = {}
        for _ in range(given.rounds):
            for name, work in (("generate", generated), ("ours", ours)):
                took, tokens = seconds(partial(work, model, tokenizer, texts))
                told.setdefault(name, []).append(1000 * took / tokens)
            if before:
                took, tokens = before(case)
                told.setdefault("before", []).append(1000 * took / tokens)
        command = f"python benchmarks/completions.py {named(given.model)} --dtype {given.dtype} -n {given.n}"
        note = f"{given.n} completions of everyday openings, {BATCH} at a time, {TOKENS} tokens, one thread"
        work = f"completions of {place.name}, {given.dtype}, {case}"
        print(f"{case}: {tell(work, told, model, (command, note) if given.keep else None)}", flush=True)
    if before:
        before.close()


if __name__ == "__main__":
    main()
