"""What every channel's settings share: how old, how large and how long an order may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from gigafactory.factory.blocks import Block, Name, setting
from gigafactory.factory.quantities import DurationS, PositiveDurationS, PositivePowerMW


def _port(value: int) -> int:
    if not 1 <= value <= 65_535:
        raise PydanticCustomError("port", "must be a port, from 1 to 65535")
    return value


Port = Annotated[int, AfterValidator(_port)]


class ChannelSettings(Block):
    """What every channel needs to know."""

    name: Name = setting("The channel, as orders name their source: `afrr`, `openadr`, ...")
    point: Name = setting("The connection it speaks about, as the factory file names its site.")
    power_mw_max: PositivePowerMW = setting(
        "An order of more, either way, is absurd and refused: the contracted power.",
        key="power_max",
    )
    age_s_max: PositiveDurationS = setting(
        "A message issued longer ago than this when it comes is stale.",
        10.0,
        key="age_max",
        source="assumption, 2026: two and a half cycles of a setpoint every 4 s",
    )
    ahead_s_max: DurationS = setting(
        "A message issued further in the future than this by our clock is refused.",
        2.0,
        key="ahead_max",
        source="assumption, 2026: clocks kept by NTP or better differ by far less",
    )
    begins_s_max: PositiveDurationS = setting(
        "An order that begins further ahead than this is refused.",
        259_200.0,
        key="begins_max",
        source="assumption, 2026: three days, as the runtime's own rule",
    )
    lasts_s_max: PositiveDurationS = setting(
        "An order that lasts longer is refused; one without end is renewed at half of this.",
        172_800.0,
        key="lasts_max",
        source="assumption, 2026: two days, as the runtime's own rule",
    )
    silent_s: PositiveDurationS = setting(
        "Without a sound message for so long the channel is in trouble.",
        12.0,
        key="silent",
        source="assumption, 2026: three setpoints missed, one every 4 s",
    )
