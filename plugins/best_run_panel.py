"""A section of the page in fifteen lines: the most accurate run of each method."""

from fairl_bench import Panel, Section, Table, hookimpl


class BestRun(Panel):
    """The best accuracy of each method, with the notes of the run and the first figure."""

    def section(self, material, pictures):
        rows = [
            (row.method, data, f"{max(values):.3f}")
            for row in material.rows
            for data in material.data
            if (values := material.numbers(row, data, "accuracy"))
        ]
        heads = (("", "method"), ("", "data"), ("", material.metrics["accuracy"].head))
        table = Table("The best run", heads, tuple(rows), ())
        return Section("Best runs", material.notes, [table], [*pictures.values()][:1]) if rows else None


@hookimpl
def fairl_panels(register):
    register("best-run", BestRun)
