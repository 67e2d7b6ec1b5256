"""Where a figure is drawn and made ready for the page.

Matplotlib is imported here, on first use, so that a table on the terminal never waits for it. What
it writes is then made fit to stand inside a page: colours become the page's own names, text takes
the page's own type, identifiers become unique to the figure, numbers lose digits no eye can see,
and the figure gets a title and a description for those who do not see it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from gigafactory.report.palette import STAND_IN, variable
from gigafactory.report.voice import Voice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

#: Width of every figure in inches; at 72 points each it is 720 units of the drawing.
WIDTH_IN: Final = 10.0
_BY_STAND_IN: Final = {stand_in: variable(name) for name, stand_in in STAND_IN.items()}
_SETTINGS: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "svg.image_inline": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": STAND_IN["ink"],
    "axes.edgecolor": STAND_IN["rule"],
    "axes.facecolor": "none",
    "axes.labelcolor": STAND_IN["soft"],
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": STAND_IN["ink"],
    "axes.titleweight": "bold",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": STAND_IN["rule"],
    "grid.linewidth": 0.5,
    "xtick.color": STAND_IN["rule"],
    "xtick.labelcolor": STAND_IN["soft"],
    "ytick.color": STAND_IN["rule"],
    "ytick.labelcolor": STAND_IN["soft"],
    "ytick.major.size": 0.0,
}


@dataclass(frozen=True, slots=True)
class Caption:
    """What a figure is called and what it shows, for readers who do not see it.

    Attributes:
        name: a short identifier, unique on the page.
        title: the accessible title.
        description: one or two sentences with the main figures.
    """

    name: str
    title: str
    description: str


def ink(name: str) -> str:
    """The colour to draw with so that it becomes the page's colour of this name."""
    return STAND_IN[name]


def draw(caption: Caption, height_in: float, paint: Callable[[Figure], None]) -> Markup:
    """Draw a figure and return it as an inline SVG.

    Args:
        caption: its name, title and description.
        height_in: height in inches (the width is `WIDTH_IN`).
        paint: draws on the empty figure.

    Returns:
        The SVG; the same input gives the same bytes.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        settings: Any = {**_SETTINGS, "svg.hashsalt": caption.name}
        mpl.rcParams.update(settings)
        figure = Figure(figsize=(WIDTH_IN, height_in), dpi=72)
        FigureCanvasSVG(figure)
        paint(figure)
        out = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(out, format="svg", metadata=nothing)
    return fit_for_page(out.getvalue(), caption)


def fit_for_page(svg: str, caption: Caption) -> Markup:
    """Turn a stand-alone SVG into one that can stand inside the page."""
    body = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="([^"]+)"', body)
    assert view is not None, "a drawing without a view box"
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<[^>]+>", lambda m: _tidy_tag(m[0]), _own_ids(body, caption.name))
    body = re.sub(r">\s+<", "><", body)
    head = (
        f'<svg viewBox="{view[1]}" role="img" aria-labelledby="{caption.name}-t {caption.name}-d">'
        f'<title id="{caption.name}-t">{escape(caption.title)}</title>'
        f'<desc id="{caption.name}-d">{escape(caption.description)}</desc>'
    )
    return Markup(head + body.strip())  # noqa: S704  (drawn by us; its words are escaped)


def _own_ids(body: str, name: str) -> str:
    """Drop identifiers nobody refers to and make the others unique to the figure."""
    used = set(re.findall(r'href="#([^"]+)"', body)) | set(re.findall(r"url\(#([^)]+)\)", body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)


def _tidy_tag(tag: str) -> str:
    """Give a tag (never the text between tags) the page's colours and type, and shorten it.

    Coordinates are rounded to a tenth of a point, and letters that the format lets us leave out
    are left out.
    """

    def path(match: re.Match[str]) -> str:
        data = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), match[2])
        data = re.sub(r"\s+", " ", data).strip()
        data = re.sub(r"(?<=\d) L (?=[^A-Z]*)", " ", data) if " M " not in data else data
        return f'{match[1]}"{data}"'

    if tag.startswith("<image"):
        return tag
    tag = re.sub(r"#[0-9a-f]{6}\b", lambda m: _BY_STAND_IN.get(m[0], m[0]), tag)
    tag = tag.replace("'DejaVu Sans'", "var(--sans)")
    tag = re.sub(r'(\bd=)"([^"]*)"', path, tag, flags=re.DOTALL)
    return re.sub(r"(?<=[ (\"])-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", tag)


def plain_numbers(axis: Axis, voice: Voice) -> None:
    """Write the ticks of an axis in the language's numbers, with the digits the steps need."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))

    def shown(value: float, _place: object) -> str:
        ticks = np.asarray(axis.get_majorticklocs(), np.float64)
        step = float(np.min(np.diff(ticks))) if len(ticks) > 1 else 1.0
        digits = next((d for d in range(4) if abs(round(step, d) - step) < 1e-9), 3)
        return voice.number(value, digits)

    axis.set_major_formatter(FuncFormatter(shown))


def labels_beside(
    axes: Axes, entries: Sequence[tuple[float, str, str]], gap_points: float = 12.0
) -> None:
    """Write the name of each layer or line to the right of an axes, beside what it names.

    Args:
        axes: its limits must be final.
        entries: (height in data units, text, colour name) each; drawn bottom to top.
        gap_points: least distance between two labels.
    """
    low, high = axes.get_ylim()
    box = axes.get_position()
    points = box.height * axes.figure.get_figheight() * 72  # type: ignore[union-attr]
    ordered = sorted(entries)
    wanted = [(height - low) / (high - low) * points for height, _, _ in ordered]
    places = spread(wanted, gap_points, (4.0, points))
    for place, (at, entry) in enumerate(zip(places, ordered, strict=True)):
        start = wanted[place] / points
        axes.plot(
            [1.004, 1.016, 1.022],
            [start, at / points, at / points],
            color=ink(entry[2]),
            linewidth=1.6,
            transform=axes.transAxes,
            clip_on=False,
            solid_capstyle="butt",
        )
        axes.text(1.027, at / points, entry[1], transform=axes.transAxes, va="center", fontsize=8.5)


def spread(
    wanted: Sequence[float], gap: float, bounds: tuple[float, float] | None = None
) -> list[float]:
    """Move ascending positions apart to at least a gap, as little as possible and centred.

    Positions that would overlap are pooled and laid out evenly around their mean.

    Args:
        wanted: ascending positions.
        gap: the least distance between neighbours.
        bounds: keep all within these, where they fit; the lower bound wins where they do not.

    Returns:
        The new positions, ascending.
    """
    pools: list[list[float]] = []  # each: [sum of wanted, count]
    for position in wanted:
        pools.append([position, 1.0])
        while len(pools) > 1:
            (sum_a, n_a), (sum_b, n_b) = pools[-2], pools[-1]
            top_a = sum_a / n_a + gap * (n_a - 1) / 2
            bottom_b = sum_b / n_b - gap * (n_b - 1) / 2
            if bottom_b - top_a >= gap:
                break
            pools[-2:] = [[sum_a + sum_b, n_a + n_b]]
    out: list[float] = []
    for total, count in pools:
        first = total / count - gap * (count - 1) / 2
        out += [first + gap * place for place in range(int(count))]
    if bounds is None:
        return out
    for place in range(len(out) - 1, -1, -1):
        out[place] = min(out[place], bounds[1] - gap * (len(out) - 1 - place))
    for place in range(len(out)):
        out[place] = max(out[place], bounds[0] + gap * place)
    return out
