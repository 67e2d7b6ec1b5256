"""One fixed colour per thing, light and dark, chosen so that colour-blind readers tell them apart.

The figures carry only the names (CSS variables); the page gives the names their colours, so one
SVG serves light screens, dark screens and paper. The five classes follow the order of Okabe and
Ito's palette (Color Universal Design, 2008), slightly muted; the accounts use a second family. A
test holds neighbouring layers apart under simulated protanopia and deuteranopia.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: name -> (colour on light and on paper, colour on dark)
COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "ink": ("#1a1f26", "#e8eaed"),
    "soft": ("#555d68", "#a9b1bc"),
    "rule": ("#cfd4da", "#3b424c"),
    "paper": ("#ffffff", "#14171b"),
    "panel": ("#f4f5f7", "#1d2126"),
    "accent": ("#0b5c8a", "#7fc1ea"),
    "alarm": ("#a3262a", "#f08a80"),
    # work, in the order in which it is stacked
    "frontier_training": ("#0f5f94", "#3d8fc9"),
    "research": ("#6cb4dd", "#8cc8ea"),
    "fine_tuning": ("#1a8f73", "#2aa888"),
    "inference_batch": ("#e3a534", "#e8b454"),
    "inference_realtime": ("#c4561b", "#e07a42"),
    # what else draws power
    "idle_power": ("#b4bac3", "#7a828d"),
    "network": ("#7b8694", "#9aa4b1"),
    "other_it": ("#98a1ad", "#8b94a0"),
    "cooling": ("#9cced9", "#5f97a5"),
    "auxiliary": ("#8a7fa3", "#9e93b8"),
    "losses": ("#574f66", "#6e6580"),
    "charge": ("#7a9a3a", "#9cbd5b"),
    "discharge": ("#b58cb8", "#c59fc9"),
    "export": ("#86724f", "#b29b73"),
    "import": ("#3f4854", "#c3cad3"),
    "price": ("#3f4854", "#c3cad3"),
    # where the energy was bought
    "ppa": ("#3f8f5f", "#62b384"),
    "day_ahead": ("#4a78a8", "#79a5d3"),
    "intraday": ("#6f6bb0", "#9c98d8"),
    "afrr": ("#a8487f", "#d485b4"),
    "imbalance": ("#c0803a", "#dba564"),
    # what became of an accelerator-hour
    "useful": ("#1d6e6a", "#35938e"),
    "overhead": ("#8fbfae", "#94c4b3"),
    "lost_failure": ("#a33a3f", "#cf6a6c"),
    "lost_response": ("#e2907a", "#eba793"),
    "lost_preemption": ("#9a6f8e", "#c39ab8"),
    "held_paused": ("#e6c860", "#e3c768"),
    "reserved_idle": ("#d5d8dd", "#565e69"),
    "idle": ("#aab1bb", "#7f8894"),
    "down": ("#717a87", "#a3acb8"),
    "awaiting_power": ("#3a4049", "#d3d8de"),
    "restart": ("#5d9a8c", "#74b5a6"),
    # whose an accelerator-hour was
    "own": ("#1f5f8b", "#4f97c7"),
    "borrowed": ("#e2a03f", "#e8b860"),
    "short": ("#a3262a", "#f08a80"),
    "unasked": ("#d5d8dd", "#565e69"),
    # footprint
    "heat": ("#b4542f", "#d9805c"),
    "heat_demand": ("#e6cdbf", "#5f4a40"),
    "water": ("#3c7fa6", "#6aaed4"),
    "co2_location": ("#55606e", "#a2adba"),
    "co2_market": ("#9aa88a", "#b5c4a4"),
    "heat_pump": ("#c98a6d", "#b5785c"),
    # cost
    "cost": ("#4a6d8c", "#7ea4c6"),
    "range": ("#1a1f26", "#e8eaed"),
}

#: Each colour name has one stand-in colour inside a drawing, swapped for its CSS variable after.
STAND_IN: Final[Mapping[str, str]] = {
    name: f"#f{number:02x}e{0xA0 + number:02x}" for number, name in enumerate(COLOURS)
}


def stylesheet() -> str:
    """The colours as CSS: light by default and in print, dark where the screen asks for it."""
    light = "".join(f"--{_css(name)}:{pair[0]};" for name, pair in COLOURS.items())
    dark = "".join(f"--{_css(name)}:{pair[1]};" for name, pair in COLOURS.items())
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def variable(name: str) -> str:
    """The CSS reference of a colour name, such as ``var(--ink)``."""
    assert name in COLOURS, f"no colour is named {name}"
    return f"var(--{_css(name)})"


def _css(name: str) -> str:
    return name.replace("_", "-")
