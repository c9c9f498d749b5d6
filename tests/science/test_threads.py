"""How many threads torch computes with."""

from __future__ import annotations

import pytest
import torch

from fairl_bench.science.threads import set_threads, threads


def test_work_has_one_thread_unless_it_asks_for_more() -> None:
    set_threads()
    assert torch.get_num_threads() == 1
    with threads(3):
        assert torch.get_num_threads() == 3
        torch.set_num_threads(1)  # as a library may
        set_threads()
        assert torch.get_num_threads() == 3
        with threads(2):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 1


def test_one_thread_is_left_after_a_failure() -> None:
    with pytest.raises(ValueError, match="lost"), threads(2):
        raise ValueError("lost")
    assert torch.get_num_threads() == 1
