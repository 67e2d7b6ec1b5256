"""A participant with its counterparts, for a test."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.uftp.rig import Rig


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Makes rigs; what is in their stores is shown when a test fails."""
    made: list[Rig] = []

    def make(**changes: Any) -> Rig:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Rig(folder, **changes))
        return made[-1]

    try:
        yield make
    finally:
        for rig in made:
            told = [
                *(f"{one.seq} {one.direction} {one.kind} {one.state} {one.message_id}"
                  for one in rig.store.messages("gopacs")),
                *(f"{one.kind} {one.key} {one.text}" for one in rig.store.alarms(open_only=False)),
            ]  # fmt: skip
            sys.stdout.write("\n".join(told) + "\n")
            with contextlib.suppress(Exception):
                rig.close()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """A rig whose participant has registered and sent its prognoses."""
    made = make_rig()
    made.begin()
    return made
