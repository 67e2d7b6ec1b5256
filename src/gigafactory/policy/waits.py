"""Why a job waits, in words a tenant can read, in English and Dutch."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml

from gigafactory.kernel import Why

Texts = dict[str, dict[str, str]]


@cache
def _texts() -> Texts:
    file = resources.files("gigafactory.policy").joinpath("data", "waits.yaml")
    texts: Texts = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert set(texts) == {why.name.lower() for why in Why}, "every reason has its words"
    return texts


def wait_text(why: Why, lang: str, *, node: str, asked: int) -> str:
    """The sentence that tells why a job waits.

    Args:
        why: the scheduler's reason.
        lang: "en" or "nl".
        node: name of the group or tenant whose share or cap is meant.
        asked: accelerators the job asks.
    """
    return _texts()[why.name.lower()][lang].format(node=node, asked=f"{asked:,}")
