"""A table in ten lines: the least and the most accurate run of each method."""

from itertools import product

from fairl_bench import Field, ReportTable, Table, hookimpl


class Extremes(ReportTable):
    """The accuracy of the worst and of the best run of each method."""

    data: tuple[str, ...] = Field(min_length=1)

    def datasets(self):
        return self.data

    def tables(self, material):
        rows = []
        for row, data in product(material.rows, self.data):
            runs = [one for one in material.records if (one.row, one.data) == (row, data) and one.slice == "all"]
            values = [f"{one.value:.3f}" for one in runs if one.metric == "accuracy"]
            rows.append((row.method, data, min(values, default="n/a"), max(values, default="n/a")))
        yield Table("Extremes", (("", "method"), ("", "data"), ("", "worst"), ("", "best")), tuple(rows), ())


@hookimpl
def fairl_tables(register):
    register("extremes", Extremes)
