"""One picture of a training: loss and validation accuracy by step, as plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 720, 240  # of one panel
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 36, 32
Points = Sequence[tuple[float, float]]


def training_picture(name: str, loss: Points, accuracy: Points) -> str:
    """The SVG's text: training loss above validation accuracy (if any), each (step, value).

    The panels share their steps; each is as high as its own values need.
    """
    steps = [step for step, _ in [*loss, *accuracy]]
    span = min(steps), max(steps)
    shown = [("training loss", loss), ("validation accuracy", accuracy)]
    panels = [
        _panel(title, points, span, row * HEIGHT)
        for row, (title, points) in enumerate(shown)
        if points
    ]
    height = HEIGHT * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">\n'
        f"<title>{escape(name)}: {' and '.join(title for title, points in shown if points)}"
        f'</title>\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
        f"{''.join(panels)}</svg>\n"
    )


def _panel(title: str, points: Points, span: tuple[float, float], down: int) -> str:
    values = [value for _, value in points]
    low, high = min(values), max(values)

    def place(step: float, value: float) -> tuple[float, float]:
        across = (step - span[0]) / ((span[1] - span[0]) or 1)
        up = (value - low) / ((high - low) or 1)
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    dots = [place(*point) for point in points] if len(points) <= 60 else []
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in dots)
    floor, edge = HEIGHT - BOTTOM, WIDTH - RIGHT
    return (
        f'<g transform="translate(0 {down})" fill="#222"><text x="{LEFT}" y="22">{title}, last '
        f'{values[-1]:.4g}</text><path d="M{LEFT} {TOP}V{floor}H{edge}" fill="none" '
        f'stroke="#888"/><g text-anchor="end"><text x="{LEFT - 6}" y="{TOP + 4}">{high:.4g}'
        f'</text><text x="{LEFT - 6}" y="{floor}">{low:.4g}</text><text x="{edge}" '
        f'y="{floor + 18}">step {span[1]:g}</text></g><text x="{LEFT}" y="{floor + 18}">'
        f'{span[0]:g}</text><g fill="#1f5fa8"><polyline points="{line}" fill="none" '
        f'stroke="#1f5fa8" stroke-width="1.5"/>{marks}</g></g>\n'
    )
