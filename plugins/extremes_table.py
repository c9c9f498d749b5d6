"""A table in ten lines: the least and the most accurate run of each method."""

from fairl_bench import Field, ReportTable, Table, hookimpl


class Extremes(ReportTable):
    """The accuracy of the worst and of the best run of each method."""

    data: tuple[str, ...] = Field(min_length=1)

    def datasets(self):
        return self.data

    def tables(self, material):
        rows = []
        for row in material.rows:
            for data in self.data:
                values = [f"{value:.3f}" for value in material.numbers(row, data, "accuracy")]
                rows.append((row.method, data, min(values, default="n/a"), max(values, default="n/a")))
        yield Table("Extremes", (("", "method"), ("", "data"), ("", "worst"), ("", "best")), tuple(rows), ())


@hookimpl
def fairl_tables(register):
    register("extremes", Extremes)
