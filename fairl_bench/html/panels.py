"""The tables, figures, samples, failures and records of the page."""

from __future__ import annotations

from collections.abc import Mapping

from fairl_bench.html.board import board
from fairl_bench.html.examples import blocks
from fairl_bench.html.numbers import packed
from fairl_bench.html.page import inlined
from fairl_bench.html.samples import samples
from fairl_bench.html.section import OurSection
from fairl_bench.html.summary import on_first_screen
from fairl_bench.html.warnings import dropped
from fairl_bench.material import Material, Picture
from fairl_bench.values.dropped import told
from fairl_bench.values.references import with_given
from fairl_bench.values.sheets import Values
from fairl_bench.views import Panel


class Tables(Panel):
    """Every table, with intervals drawn and a link from each number to its records."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection:
        """The tables that were made, and those that only lie in the folder."""
        boards = [board(table) for table in (*material.tables.values(), *material.other_tables)]
        lost = dropped(material.run)
        values = {"boards": boards, "dropped": lost.total(), "why_dropped": told(lost)}
        return OurSection("Tables", anchor="results", template="tables", values=values)


class Figures(Panel):
    """Every figure that is not on the first screen."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection | None:
        """The figures with their names."""
        left = [picture for name, picture in pictures.items() if name not in on_first_screen(pictures)]
        if not left:
            return None
        values = {"pictures": [inlined(picture) for picture in left]}
        return OurSection("Figures", anchor="figures", template="figures", values=values)


class Samples(Panel):
    """Samples of held-out prompts before and after a re-alignment."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection | None:
        """A browser of samples, where anything was aligned again."""
        views = samples(material.realigned, list(material.rows))
        if not views:
            return None
        values = {"samples": sum(len(view["row"]) for view in views)}
        return OurSection("Samples", anchor="samples", template="samples", values=values, data={"samples": views})


class Failures(Panel):
    """The texts that methods get wrong."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection | None:
        """A browser of texts with what each method says of them; None where no text has a score."""
        found = blocks(material.sheets(material.data), Values.read(material.records), material.truth_of)
        texts = sum(len(sheet["example"]) for sheet in found["sheets"])
        if not texts:
            return None
        labels = {name: with_given(name, material.run.methods) for name in material.run.methods}
        data = {"examples": found, "methods": list(material.methods), "labels": labels}
        return OurSection("Failures", anchor="failures", template="failures", values={"examples": texts}, data=data)


class Records(Panel):
    """Every record, to be searched."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection:
        """A browser of records."""
        values, data = {"records": len(material.records)}, {"records": packed(material.records)}
        return OurSection("Records", anchor="records", template="records", values=values, data=data)
