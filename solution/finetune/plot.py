"""The plot of a training: loss and validation accuracy by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Points = Sequence[tuple[float, float]]


def plot_training(path: Path, title: str, loss: Points, accuracy: Points) -> None:
    """Write an SVG with the training loss above the validation accuracy, if there is any."""
    import matplotlib
    from matplotlib.figure import Figure

    panels = [("training loss", loss), ("validation accuracy", accuracy)]
    panels = [(label, points) for label, points in panels if points]
    style = {"svg.fonttype": "none", "svg.hashsalt": "training", "font.family": "sans-serif"}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(7.5, 2.5 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        for axis, (label, points) in zip(axes, panels, strict=True):
            marker = "o" if len(points) <= 60 else None
            axis.plot(*zip(*points, strict=True), marker=marker, markersize=3, gid=label)
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
        axes[0].set_title(title)
        axes[-1].set_xlabel("step")
        figure.savefig(path, format="svg", metadata={"Date": None})
