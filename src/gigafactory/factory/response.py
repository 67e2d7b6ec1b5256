"""What a site answers within seconds: reserves, supplies, and tenants' flexibility contracts.

Used by the stress mode. A site without such a block has no uninterruptible supplies, its classes
have the contracts of `flex_contracts`, and it owes what `energy.reserves` sells by day, if that
sells any. Where both are there, the powers here are the most that is sold for a stress day.
"""

from __future__ import annotations

from collections.abc import Iterable

from gigafactory.factory.blocks import JobClassLabel, Name, SourcedBlock, setting
from gigafactory.factory.quantities import (
    Count,
    DurationS,
    PositiveDurationS,
    PowerMW,
    Ratio,
    Share,
)


class FlexContract(SourcedBlock):
    """What the tenants of a class agreed to give way, by slowing down and by pausing."""

    job_class: JobClassLabel = setting("The class.")
    pause_fraction: Share = setting(
        "Share of the class's power that may be paused; slowing down to the policy's slowest speed "
        "is always agreed with a contract.",
        1.0,
        key="pause",
        source="Our assumption, 2026, assumption: no contract is published",
    )
    lasting_s: PositiveDurationS = setting(
        "How long at a time.",
        14_400.0,
        key="lasting",
        source="Our assumption, 2026, assumption: a block of four hours",
    )
    rest_s: DurationS = setting(
        "How long the class is left alone after that.",
        0.0,
        key="rest",
        source="Our assumption, 2026, assumption: none",
    )
    times_per_day: Count = setting(
        "How often a day.",
        100,
        source="Our assumption, 2026, assumption: more than a market's setpoints ever ask",
    )


#: Contracts of classes that no block names: work that can wait may be slowed down and paused, a
#: large training may be slowed down, answers to people are left alone. Our assumption.
_USUAL: dict[str, float] = {
    "frontier_training": 0.0,
    "research": 1.0,
    "fine_tuning": 1.0,
    "inference_batch": 1.0,
}


class SiteResponse(SourcedBlock):
    """The response in seconds of a site."""

    site: Name = setting("The site.")
    fcr_mw: PowerMW = setting(
        "FCR, each way: held in every second, or, where `energy.reserves` sells from the site, the "
        "most that is sold for a stress day (0 MW: what was prequalified there).",
        0.0,
        key="fcr",
        source="Our assumption, 2026, assumption: none is sold",
    )
    fcr_recovery_mw: PowerMW = setting(
        "Most that the recovery of the battery's energy for FCR takes or gives; none where "
        "`energy.reserves` sells, whose trades bring the battery back.",
        0.0,
        key="fcr_recovery",
        source="Our assumption, 2026, assumption: none is sold",
    )
    afrr_up_mw: PowerMW = setting(
        "aFRR upward (less import): held, or the most that is sold, as for FCR.",
        0.0,
        key="afrr_up",
        source="Our assumption, 2026, assumption: none is sold",
    )
    afrr_down_mw: PowerMW = setting(
        "aFRR downward (more import): held, or the most that is sold, as for FCR.",
        0.0,
        key="afrr_down",
        source="Our assumption, 2026, assumption: none is sold",
    )
    ups_mw: PowerMW = setting(
        "Power of the uninterruptible supplies.",
        0.0,
        key="ups",
        source="Our assumption, 2026, assumption: no supplies",
    )
    ups_lasting_s: DurationS = setting(
        "How long they carry it.",
        0.0,
        key="ups_lasting",
        source="Our assumption, 2026, assumption: no supplies",
    )
    throttle_s: PositiveDurationS = setting(
        "From full speed to the slowest.",
        5.0,
        key="throttle",
        source="Our assumption, 2026, assumption: power limits of accelerators act within a second "
        "or two, and are told to nodes one after the other",
    )
    pause_s: PositiveDurationS = setting(
        "From the last checkpoint until all of a class is paused.",
        30.0,
        key="pause",
        source="Our assumption, 2026, assumption: told to nodes one after the other",
    )
    breach_times: Ratio = setting(
        "What a MWh beyond a contract is paid, as a multiple of what the work would have earned.",
        1.5,
        source="Our assumption, 2026, assumption: the price of the work and half of it again",
    )
    contracts: tuple[FlexContract, ...] = setting(
        "Flexibility contracts by class; classes left out have the usual ones.", ()
    )


def flex_contracts(response: SiteResponse | None, classes: Iterable[str]) -> list[FlexContract]:
    """The contract of every class; one without any has `times_per_day` 0.

    Args:
        response: the block of a site; None where it has none.
        classes: labels of the classes, in order.
    """
    named = {str(one.job_class): one for one in response.contracts} if response else {}
    found = []
    for label in classes:
        usual = _USUAL.get(label)
        made = FlexContract.model_validate(
            {"job_class": label, "times_per_day": 0}
            if usual is None
            else {"job_class": label, "pause": f"{usual:.0%}"}
        )
        found.append(named.get(label, made))
    return found


__all__ = ["FlexContract", "SiteResponse", "flex_contracts"]
