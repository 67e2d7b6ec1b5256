"""Who leads, noted beside the cluster itself: for a leader that the store can no longer tell.

A controller whose link to the store is cut cannot know whether the store is gone for all or a
standby leads by now. The standby writes its name here before it acts; whoever finds another's name
stops. One small file in a folder that the cluster's hosts share, put in place whole.
"""

from __future__ import annotations

import os
from pathlib import Path


class LeaderMark:
    """The name of who leads, in a file.

    Args:
        path: of the file, in a folder that is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, holder: str) -> bool:
        """Put a name in place of the one before; whether it is on the disk."""
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(holder)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError:
            return False
        return True

    def read(self) -> str | None:
        """The name; empty where nobody wrote one, None where it cannot be read now."""
        try:
            return self._path.read_text("utf-8")
        except FileNotFoundError:
            return "" if self._path.parent.is_dir() else None
        except (OSError, UnicodeDecodeError):
            return None
