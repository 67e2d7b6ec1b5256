"""The other end of the agent: an actuator that speaks with it over HTTP."""

from __future__ import annotations

from gigafactory.factory.blocks import Block, Text, setting
from gigafactory.factory.quantities import PositiveDurationS
from gigafactory.plant.ports import Setpoint, SetpointReceipt


class CapSettings(Block):
    """An agent that sets power caps."""

    url: Text = setting("Address of the agent.")
    timeout_s: PositiveDurationS = setting("Longest wait for an answer.", 2.0, key="timeout")
    ca: Text | None = setting("Certificates trusted, a PEM file; none: the system's own.", None)


class CapActuator:
    """Sends set points to an agent; points are the agent's devices, values caps in W.

    Args:
        settings: where it is.
        token: what it knows us by.
    """

    def __init__(self, settings: CapSettings, token: str) -> None:
        import httpx

        verify: object = True
        if settings.ca is not None:
            import ssl

            verify = ssl.create_default_context(cafile=settings.ca)
        self._client = httpx.Client(
            base_url=settings.url,
            timeout=settings.timeout_s,
            verify=verify,  # type: ignore[arg-type]
            headers={"Authorization": f"Bearer {token}"},
            follow_redirects=False,
        )

    def apply(self, setpoint: Setpoint, now_ns: int) -> SetpointReceipt:  # noqa: ARG002
        """Send one command and say what became of it."""
        import httpx

        told = {
            "key": setpoint.key,
            "point": setpoint.point,
            "value": setpoint.value,
            "unit": setpoint.unit,
            "valid_until_ns": setpoint.valid_until_ns,
        }
        try:
            answer = self._client.post("/caps", json=told)
            found = answer.json()
            return SetpointReceipt(setpoint.key, str(found["outcome"]), str(found["why"]))
        except (httpx.HTTPError, OSError) as error:
            why = f"the agent does not answer ({type(error).__name__})"
        except (ValueError, KeyError, TypeError):
            why = "the agent answers in another shape"
        return SetpointReceipt(setpoint.key, "unknown", why)

    def available(self) -> dict[str, float | None]:
        """The devices there are and their caps, W; none where the agent is away."""
        import httpx

        try:
            return dict(self._client.get("/caps").json()["caps"])
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError):
            return {}

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()
