"""What can go wrong with a store, as exceptions that carry values and never a driver's own."""

from __future__ import annotations

from typing import Any


class StoreTrouble(Exception):  # noqa: N818  (it is the name of the kind: trouble outside)
    """The database is away, hangs, is full or refuses; the caller turns it into its fallback.

    Attributes:
        why: in plain words, without secrets.
        doubtful: a change was sent to be committed and no answer came: it may be there. Ask again
            with the same key. Where it is False nothing was changed.
    """

    def __init__(self, why: str, *, doubtful: bool = False) -> None:
        self.why, self.doubtful = why, doubtful
        super().__init__(why)


class KeyConflict(Exception):  # noqa: N818  (it says what it is)
    """An idempotency key was used before with another body.

    Attributes:
        key: the key.
        first: the record kept under it: a `Work`, `Request` or `Message`.
    """

    def __init__(self, key: str, first: Any) -> None:
        self.key, self.first = key, first
        super().__init__(f"the key {key!r} was used before with another body")


class StaleLeader(Exception):  # noqa: N818  (it says what it is)
    """A controller that has been replaced tried to write; nothing was changed."""

    def __init__(self, name: str, epoch: int) -> None:
        self.name, self.epoch = name, epoch
        super().__init__(f"{name}: another one leads since the lease number {epoch}")
