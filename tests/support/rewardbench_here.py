"""RewardBench's command on a machine without a GPU: its pipeline asks for one by name.  Run by RewardBench's Python."""

import torch
from transformers import BatchEncoding

if __name__ == "__main__":
    from rewardbench.rewardbench import main  # which the project's own Python lacks

    if not torch.cuda.is_available():
        moved = BatchEncoding.to
        BatchEncoding.to = lambda self, device, **others: moved(self, "cpu" if device == "cuda" else device, **others)
    main()
