"""The footprint of a run and the receipt of a job, in words for the terminal."""

from __future__ import annotations

from gigafactory.assess.circular import AfterFirstLife
from gigafactory.assess.climate import Beside
from gigafactory.assess.footprint import Footprint, Receipt, Span, factors
from gigafactory.report.voice import Voice


def footprint_lines(
    found: Footprint,
    after: AfterFirstLife | None = None,
    lang: str = "en",
    beside: Beside | None = None,
) -> list[str]:
    """A footprint in lines, each figure with its unit; ranges where methods differ.

    Args:
        found: of a run.
        after: what becomes of the accelerators afterwards; None where no plan is given.
        lang: "en" or "nl".
        beside: the same beside national targets; None for no such line.
    """
    voice = Voice(lang)
    say = voice.say

    def tonnes(kg: float) -> str:
        return voice.number(kg / 1000.0, 1)

    hourly = say("number.none") if found.hourly_kg is None else tonnes(found.hourly_kg)
    lines = [
        say("emissions.scope_1", tonnes=tonnes(found.stack_kg)),
        say(
            "emissions.scope_2",
            location=tonnes(found.location_kg),
            market=tonnes(found.market_kg),
            hourly=hourly,
        ),
        say("emissions.capital", span=_span(voice, found.capital_kg.times(1e-3), 1)),
        say(
            "emissions.chain",
            tonnes=tonnes(found.chain_kg),
            factor=voice.number(factors()["chain_g_per_kwh"].value),
            source=factors()["chain_g_per_kwh"].source.source,
            year=factors()["chain_g_per_kwh"].source.year,
        ),
        say(
            "emissions.per_hour",
            span=_span(voice, found.per_gpu_h_g),
            low=voice.share(found.embodied_share.low),
            high=voice.share(found.embodied_share.high),
        ),
        *target_lines(beside, lang),
        say("emissions.not_counted"),
        *(f"  - {words}" for words in found.not_counted[lang]),
    ]
    return lines + (after_lines(after, lang) if after is not None else [say("emissions.no_plan")])


def target_lines(beside: Beside | None, lang: str = "en") -> list[str]:
    """A run beside what the country may emit: by the grid and by contracts in one line."""
    if beside is None:
        return []
    voice = Voice(lang)
    return [
        voice.say(
            "emissions.target",
            year=beside.year,
            allowed=voice.number(beside.allowed_kg / 1e9, 2),
            location=voice.number(100.0 * beside.location_share, 3),
            market=voice.number(100.0 * beside.market_share, 3),
            span=_span(voice, beside.scope_3_kg.times(1e-3), 1),
        )
    ]


def after_lines(after: AfterFirstLife, lang: str = "en") -> list[str]:
    """What a plan for the end of a first life avoids, in lines."""
    voice = Voice(lang)
    say = voice.say
    return [
        say(
            "emissions.after",
            units=voice.number(after.units),
            kept=voice.number(after.kept),
            recycled=voice.number(after.recycled),
        ),
        say(
            "emissions.avoided",
            co2=_span(voice, after.avoided_co2_kg.times(1e-3)),
            mass=voice.number(after.avoided_mass_kg / 1000.0),
        ),
        say(
            "emissions.recovered",
            gold=voice.neat(after.recovered_kg["gold"]),
            silver=voice.neat(after.recovered_kg["silver"]),
            palladium=voice.neat(after.recovered_kg["palladium"]),
        ),
        say("emissions.residual", span=_span(voice, after.residual_eur.times(1e-6))),
    ]


def receipt_lines(receipt: Receipt, lang: str = "en") -> list[str]:
    """The receipt of a job in lines: in all, and per accelerator-hour delivered."""
    voice = Voice(lang)
    say, per = voice.say, receipt.per_gpu_h()
    return [
        say(
            "job_receipt.head",
            job=receipt.job,
            tenant=receipt.tenant,
            chip=receipt.chip,
            place=receipt.place,
        ),
        say(
            "job_receipt.hours",
            delivered=voice.number(receipt.delivered_gpu_h, 1),
            held=voice.number(receipt.held_gpu_h, 1),
        ),
        _both(voice, "energy", receipt.energy_kwh, per["energy_kwh"], 1, 3),
        _both(voice, "cost", receipt.cost_eur, per["cost_eur"], 2, 4),
        _both(voice, "location", receipt.location_kg, per["location_g"], 1, 1),
        _both(voice, "market", receipt.market_kg, per["market_g"], 1, 1),
        _both(voice, "water", receipt.water_l, per["water_l"], 1, 3),
        say("job_receipt.embodied", span=_span(voice, receipt.embodied_kg, 2)),
        say(
            "job_receipt.sci",
            span=_span(voice, receipt.sci_g_per_gpu_h, 1),
            low=voice.share(receipt.embodied_share.low),
            high=voice.share(receipt.embodied_share.high),
        ),
    ]


def _both(voice: Voice, name: str, whole: float, per: float, digits: int, fine: int) -> str:
    """A figure in all and per hour delivered."""
    return voice.say(
        f"job_receipt.{name}", whole=voice.number(whole, digits), per=voice.number(per, fine)
    )


def _span(voice: Voice, span: Span, digits: int = 0) -> str:
    return voice.say(
        "emissions.span", low=voice.number(span.low, digits), high=voice.number(span.high, digits)
    )


__all__ = ["after_lines", "footprint_lines", "receipt_lines"]
