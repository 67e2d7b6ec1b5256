"""Why a job waits, in words a tenant can read, in English and Dutch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.policy.rules import explain

if TYPE_CHECKING:  # the kernel is compiled; who only reads rules need not wait for it
    from gigafactory.kernel import Why


def wait_text(why: Why, lang: str, *, node: str, asked: int) -> str:
    """The sentence that tells why a job waits.

    Args:
        why: the scheduler's reason.
        lang: "en" or "nl".
        node: name of the group or tenant whose share or cap is meant.
        asked: accelerators the job asks.
    """
    return explain(f"wait_{why.name.lower()}", lang, node=node, asked=asked)
