"""Libraries a channel needs only when it runs, and the words for when one is missing."""

from __future__ import annotations

import importlib
from typing import Any

from gigafactory.engine.errors import BadInput, Problem


def needed(module: str, extra: str) -> Any:
    """Import a library of an optional part.

    Args:
        module: its import name.
        extra: the part of the installation it belongs to.

    Raises:
        BadInput: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        why = f'is not installed; run: pip install "gigafactory[{extra}]"'
        raise BadInput([Problem("this installation", module, "", why)]) from None
