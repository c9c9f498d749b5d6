"""Tells suites that were run at several points, and gives names of data and paths that a file can have."""

from fairl_bench.material import Material


def has_variants(material: Material) -> bool:
    """True where the suite was run at several points of a product, or under several selections."""
    return any(row.variant for row in material.records)


def in_file_name(name: str) -> str:
    """A name as a part of a file's name.

    >>> in_file_name("pairs/test")
    'pairs-test'
    """
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name).strip("-")
