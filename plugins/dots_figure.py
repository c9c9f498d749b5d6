"""A figure in ten lines: every run of each method as a dot."""

from fairl_bench import Drawn, ReportFigure, hookimpl


class Dots(ReportFigure):
    """Every accuracy on record as a dot beside its method."""

    def figures(self, material):
        from matplotlib.figure import Figure

        records = [record for record in material.records if record.metric == "accuracy"]
        if records:
            figure = Figure(figsize=(5, 3), layout="constrained")
            axis = figure.subplots()
            axis.plot([record.value for record in records], [record.method for record in records], "o", alpha=0.5)
            axis.set_xlabel("accuracy of a run")
            yield Drawn("dots", "Every run of each method", figure)


@hookimpl
def fairl_figures(register):
    register("dots", Dots)
