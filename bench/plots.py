"""Draw plots: each as two files in docs/plots, for light and for dark pages."""

# pyright: reportUnknownMemberType=false
# matplotlib's own types are incomplete.

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import durable
import idle
import matplotlib as mpl
import turns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.typing import RcKeyType
from run_load import Figures, medians
from servers import ROOT

_FOLDER = ROOT / "docs/plots"
_WIDTH = 8.4
"""Inches, so that letters are as large as those of the page around a plot."""

_ROW = 0.27
"""Inches for each server."""

_CROWDED = 1000
"""If the ends of an axis differ by this factor or more, only powers of ten fit as numbers."""

_MARKERS = "osD^"
_NUMBERS = StrMethodFormatter("{x:,.12g}")


@dataclass(frozen=True)
class Theme:
    """Colours. Blue and grey also differ for readers who are colour-blind."""

    name: str
    ink: str
    faint: str
    ours: str
    others: str


_THEMES = (
    Theme("light", ink="#1f2328", faint="#d1d9e0", ours="#0969da", others="#818b98"),
    Theme("dark", ink="#e6edf3", faint="#3d444d", ours="#58a6ff", others="#8b949e"),
)


@dataclass(frozen=True)
class Row:
    """A server and its figures, one for each marker; None for a figure that was not measured."""

    label: str
    values: Sequence[float | None]

    @property
    def ours(self) -> bool:
        """Whether the server is Twotick."""
        return self.label.startswith("Twotick")


def relay(measured: Sequence[turns.Measured]) -> str:
    """Draw the server CPU of a delivery for each server, and return the Markdown that shows the plot."""
    sizes = sorted({each.work["bytes"] for each in measured})
    in_flight = sorted({each.work["window"] for each in measured})
    panels: dict[str, list[Row]] = {}
    for size in sizes:
        runs = {each.work["window"]: each.runs for each in measured if each.work["bytes"] == size}
        panels[f"{_size(size)}, µs"] = [
            Row(contender.label, [_cpu(runs[number].get(name)) if number in runs else None for number in in_flight])
            for name, contender in turns.CONTENDERS.items()
            if any(name in each.runs for each in measured)
        ]
    return _dots("relay", "Server CPU for each delivery, by server", panels, [f"{n} in flight" for n in in_flight])


def stored(measured: durable.Measured) -> str:
    """Draw the server CPU of a stored message for each server, and return the Markdown that shows the plot."""
    in_flight = sorted({work.in_flight for work in measured.runs})
    panels: dict[str, list[Row]] = {}
    for size in sorted({work.bytes for work in measured.runs}):
        runs = {work.in_flight: by_peer for work, by_peer in measured.runs.items() if work.bytes == size}
        panels[f"{_size(size)}, µs"] = [
            Row(
                peer.program.name + (" (before the disk)" if measured.syncs.get(name, 1) < 1 else ""),
                [_cpu(runs[number].get(name)) if number in runs else None for number in in_flight],
            )
            for name, peer in durable.PEERS.items()
            if name in durable.NAMES
        ]
    title = "Server CPU for each stored message, by server"
    return _dots("durable", title, panels, [f"{number} in flight" for number in in_flight])


def _cpu(runs: Sequence[Figures] | None) -> float | None:
    return medians(runs).cpu if runs else None


def _size(size: int) -> str:
    return f"{size} B" if size < 1 << 10 else f"{size >> 10} KiB"


def _dots(name: str, title: str, panels: dict[str, list[Row]], markers: Sequence[str]) -> str:
    """Draw panels in which each server is a row and each of its figures a marker."""
    first, *_ = panels.values()
    order = sorted(range(len(first)), key=lambda row: (not first[row].ours, _largest(first[row])))
    shown = [row for row in order if any(_largest(rows[row]) for rows in panels.values())]

    def paint(figure: Figure, theme: Theme) -> None:
        all_axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (heading, rows) in zip(all_axes, panels.items(), strict=True):
            _paint_rows(axes, theme, [rows[row] for row in shown])
            axes.set_title(heading, loc="left", fontsize=10, color=theme.ink)
        low, high = all_axes[0].get_xlim()  # shared by all panels
        for axes in all_axes:
            _plain_numbers(axes, (1, 3) if high < _CROWDED * low else (1,))
        _name_rows(all_axes[0], theme, [first[row].label for row in shown])
        key = "\N{EM SPACE}".join(f"{mark} {text}" for mark, text in zip("●■◆▲", markers, strict=False))
        figure.suptitle(key, x=0.995, ha="right", fontsize=9, color=theme.ink)

    return _draw(name, title, 0.9 + _ROW * len(shown), paint)


def _largest(row: Row) -> float:
    return max((value for value in row.values if value is not None), default=0.0)


def _paint_rows(axes: Axes, theme: Theme, rows: Sequence[Row]) -> None:
    for place, row in enumerate(rows):
        colour = theme.ours if row.ours else theme.others
        known = [value for value in row.values if value is not None]
        if not known:
            continue
        axes.plot([min(known), max(known)], [place, place], color=colour, linewidth=1.2, alpha=0.6)
        for value, marker in zip(row.values, _MARKERS, strict=False):
            if value is not None:
                axes.plot(value, place, marker, color=colour, markersize=5.5)
    axes.set_xscale("log")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=theme.faint, linewidth=0.6)
    axes.spines[:].set_visible(False)


def _name_rows(axes: Axes, theme: Theme, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
        tick.set_color(theme.ours if label.startswith("Twotick") else theme.ink)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def _plain_numbers(axes: Axes, subs: Sequence[float] = (1,)) -> None:
    axes.xaxis.set_major_locator(LogLocator(10, subs))
    axes.xaxis.set_major_formatter(_NUMBERS)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def memory(measured: idle.Measured) -> str:
    """Draw the memory of idle users, and return the Markdown that shows the plot."""
    most = measured.users[-1]
    bars = sorted(
        ((idle.KINDS[kind].label, measured.at(kind, most).memory / 1024) for kind in measured.levels),
        key=lambda bar: (not bar[0].startswith("Twotick"), bar[1]),
    )

    def paint(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        colours = [theme.ours if label.startswith("Twotick") else theme.others for label, _ in bars]
        drawn = axes.barh(range(len(bars)), [value for _, value in bars], color=colours, height=0.6)
        axes.bar_label(drawn, fmt="%.1f", padding=4, color=theme.ink)
        _name_rows(axes, theme, [label for label, _ in bars])
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(f"KiB for each of {most:,} idle users", loc="left", fontsize=10, color=theme.ink)

    return _draw("idle", "Memory of the server for each idle user, by server", 0.5 + _ROW * len(bars), paint)


def _draw(name: str, title: str, height: float, paint: Callable[[Figure, Theme], None]) -> str:
    _FOLDER.mkdir(exist_ok=True)
    for theme in _THEMES:
        settings: dict[RcKeyType, object] = {
            "font.size": 9,
            "text.color": theme.ink,
            "axes.labelcolor": theme.ink,
            "xtick.color": theme.ink,
            "ytick.color": theme.ink,
            "svg.fonttype": "none",
            "svg.hashsalt": name,  # so that the same figures give the same file
        }
        with mpl.rc_context(settings):
            figure = Figure(figsize=(_WIDTH, height), layout="constrained")
            paint(figure, theme)
            figure.savefig(_FOLDER / f"{name}-{theme.name}.svg", transparent=True, metadata={"Date": None})
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="plots/{name}-dark.svg">'
        f'<img alt="{title}" src="plots/{name}-light.svg"></picture>'
    )
