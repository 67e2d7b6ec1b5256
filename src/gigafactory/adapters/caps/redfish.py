"""Caps through Redfish: the power limit in a resource ``EnvironmentMetrics``, per device.

The property is ``PowerLimitWatts`` with ``SetPoint`` and, where the device tells them,
``AllowableMin`` and ``AllowableMax`` (DMTF's schema EnvironmentMetrics; on NVIDIA's boards
``/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1/EnvironmentMetrics``). Sessions, ETags
and tasks are as in DSP0266. Run against a simulated controller; against no real one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gigafactory.factory.blocks import Block, Text, setting
from gigafactory.factory.quantities import PositiveDurationS

if TYPE_CHECKING:
    import httpx

_SESSIONS: Final = "/redfish/v1/SessionService/Sessions"
_OPEN_TASK: Final = frozenset({"New", "Starting", "Running", "Pending", "Service", "Suspended"})


class RedfishSettings(Block):
    """A board management controller."""

    url: Text = setting("Its address, https://.")
    user: Text = setting("Who we are there.")
    ca: Text | None = setting("Certificates trusted, a PEM file; none: the system's own.", None)
    timeout_s: PositiveDurationS = setting("Longest wait for an answer.", 5.0, key="timeout")
    task_s: PositiveDurationS = setting("Longest wait for a task to end.", 10.0, key="task")
    resources: dict[Text, Text] = setting("Path of each device's EnvironmentMetrics.")


class _RefusedError(Exception):
    """The controller said no."""


class RedfishDriver:
    """Sets and reads power limits; opens a session when it needs one.

    Args:
        settings: where, and which devices.
        password: of the user.
        pause: waits between two looks at a task; takes seconds.
    """

    def __init__(
        self,
        settings: RedfishSettings,
        password: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        self.settings, self._password, self._pause = settings, password, pause
        verify: Any = True
        if settings.ca is not None:
            import ssl

            verify = ssl.create_default_context(cafile=settings.ca)
        self._client = httpx.Client(
            base_url=settings.url, timeout=settings.timeout_s, verify=verify, follow_redirects=False
        )
        self._token = ""

    def points(self) -> tuple[str, ...]:
        """The devices there are."""
        return tuple(self.settings.resources)

    def read_cap(self, point: str) -> float | None:
        """The power limit a device has now, W; None where it cannot be asked."""
        import httpx

        try:
            limit = self._limit(self._ask("GET", self.settings.resources[point]))
            return float(limit["SetPoint"])
        except (httpx.HTTPError, OSError, _RefusedError, KeyError, TypeError, ValueError):
            return None

    def set_cap(self, point: str, limit_w: float) -> tuple[str, str]:
        """Set a device's power limit, W, and read it back."""
        import httpx

        path = self.settings.resources.get(point)
        if path is None:
            return "refused", f"{point} has no resource in the settings"
        try:
            return self._set(path, limit_w)
        except _RefusedError as error:
            return "refused", str(error)
        except (httpx.HTTPError, OSError) as error:
            return "unknown", f"{self.settings.url} does not answer ({type(error).__name__})"
        except (KeyError, TypeError, ValueError):
            return "unknown", f"{self.settings.url} answers in a shape that is not Redfish's"

    def _set(self, path: str, limit_w: float) -> tuple[str, str]:
        for _ in range(2):  # once more where somebody changed the resource meanwhile
            found = self._ask("GET", path)
            limit = self._limit(found)
            if float(limit["SetPoint"]) == limit_w:
                return "accepted", "holds already"
            least, most = limit.get("AllowableMin"), limit.get("AllowableMax")
            if (least is not None and limit_w < least) or (most is not None and limit_w > most):
                return "refused", f"{limit_w:g} W lies outside {least} to {most} W"
            mark = found.headers.get("ETag")
            answer = self._ask(
                "PATCH",
                path,
                {"PowerLimitWatts": {"SetPoint": limit_w}},
                {"If-Match": mark} if mark else {},
            )
            if answer.status_code != 412:
                break
        else:
            return "unknown", "somebody else changes this limit all the time"
        if answer.status_code == 202 and not self._finished(answer.headers.get("Location", "")):
            return "unknown", "the task did not end in time"
        held = float(self._limit(self._ask("GET", path))["SetPoint"])
        if held != limit_w:
            return "unknown", f"reads back {held:g} W"
        return "accepted", ""

    def _finished(self, task: str) -> bool:
        """Whether a task ended well within its time.

        Raises:
            _RefusedError: it ended otherwise.
        """
        steps = max(int(self.settings.task_s / 0.2), 1)
        for _ in range(steps):
            told = self._ask("GET", task).json()
            state = str(told["TaskState"])
            if state == "Completed":
                return True
            if state not in _OPEN_TASK:
                raise _RefusedError(f"the task ended as {state}")
            self._pause(0.2)
        return False

    @staticmethod
    def _limit(answer: httpx.Response) -> dict[str, Any]:
        found = answer.json()["PowerLimitWatts"]
        if not isinstance(found, dict):
            raise TypeError("PowerLimitWatts is no object")
        return found

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request in a session, a new one where the old has ended.

        Raises:
            _RefusedError: the controller says no, in words of its own.
            httpx.HTTPError: it does not answer.
        """
        for attempt in range(2):
            if not self._token:
                self._log_in()
            marks = {"X-Auth-Token": self._token, **(headers or {})}
            answer = self._client.request(method, path, json=body, headers=marks)
            if answer.status_code == 401 and attempt == 0:
                self._token = ""
                continue
            break
        if answer.status_code >= 400 and answer.status_code != 412:
            raise _RefusedError(f"{method} {path} is answered {answer.status_code}{_said(answer)}")
        return answer

    def _log_in(self) -> None:
        told = {"UserName": self.settings.user, "Password": self._password}
        answer = self._client.post(_SESSIONS, json=told)
        token = answer.headers.get("X-Auth-Token", "")
        if answer.status_code not in {200, 201} or not token:
            raise _RefusedError(f"no session for {self.settings.user}: {answer.status_code}")
        self._token = token

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()


def _said(answer: httpx.Response) -> str:
    """What an error says, in its own words, or nothing."""
    try:
        extended = answer.json()["error"]
        return f": {str(extended.get('message', ''))[:200]}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
