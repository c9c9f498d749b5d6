from __future__ import annotations

import pytest

from fairl_bench.values.table import Table


@pytest.mark.parametrize("head", [("number",), ("", "number")])
def test_a_head_has_one_line_or_two(head: tuple[str, ...]) -> None:
    table = Table("Title", (head,), (("1",),), ("A note.",))
    assert str(table) == "Title\n\nnumber\n--------\n1\n\nA note."
    assert table._repr_html_().count("<th>number</th>") == 1
