"""The starter file that ``gigafactory init`` writes."""

from __future__ import annotations

from importlib import resources

from gigafactory.engine.errors import refuse


def init_text(name: str) -> str:
    """A commented factory file under a name of one's own, ready to check and run.

    Args:
        name: letters, digits, - and _.

    Raises:
        BadInput: when the name cannot be one.
    """
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        why = "must be letters, digits, - and _ only, for example my-factory"
        raise refuse("init", "name", name, why)
    file = resources.files("gigafactory.factory").joinpath("data", "starter.yaml")
    return file.read_text(encoding="utf-8").replace("name: my-factory", f'name: "{name}"', 1)
