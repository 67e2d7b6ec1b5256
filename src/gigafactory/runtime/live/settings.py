"""The settings of the service: which cluster, which meters, which channels, which limits.

One YAML file beside the factory file. It says where things are and how fresh they must be; what the
factory is and may do stands in the factory file alone. Read like every other file: all problems at
once. A secret stands in a file or in the environment, never here, and is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from gigafactory.adapters.feeds import DayAheadSettings, SettlementSettings, WeatherSettings
from gigafactory.adapters.metering.settings import (
    DcgmSettings,
    PrometheusSettings,
    ScrapeSettings,
)
from gigafactory.adapters.secrets import Secret, rooted
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Flag, Name, Text, setting
from gigafactory.factory.models import Factory
from gigafactory.factory.quantities import (
    Count,
    DurationS,
    PositiveCount,
    PositiveDurationS,
    PositiveRatio,
    PowerMW,
    PowerW,
    Share,
    SmallShare,
)
from gigafactory.factory.reading import Document, read_document
from gigafactory.factory.validating import checked, validate

_OURS: Final = "Our assumption, 2026, assumption"

ChannelKind = Literal["uftp", "mqtt", "openadr", "iec104", "api"]
OrderKindName = Literal["limit", "setpoint", "emergency"]
#: Under this name the orders of the UFTP gateway come.
GOPACS: Final = "gopacs"
_SQLITE: Final = "sqlite:///"
#: Thirteen months, the longest they can be.
_SETTLED_S: Final = 397 * 86_400.0
#: Words in the name of an option whose value must not stand in the file.
_SECRET_WORDS: Final = ("password", "secret", "token", "private_key", "credential")


class StoreSettings(Block):
    """Where work, orders and people are kept."""

    url: Text = setting("sqlite:///path or postgresql://user@host/database, without a password.")
    password: Secret | None = setting("Password of the database; empty for none.", None)

    def full_url(self, folder: Path) -> str:
        """The URL with its password in it, a relative path counted from a folder; do not log it."""
        if self.url.startswith(_SQLITE) and not self.url.startswith(f"{_SQLITE}/"):
            path = (folder / self.url.removeprefix(_SQLITE)).absolute()
            path.parent.mkdir(parents=True, exist_ok=True)
            return f"{_SQLITE}{path}"
        if self.password is None:
            return self.url
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        secret = quote(self.password.read("store.password"), safe="")
        return parts._replace(netloc=f"{parts.username or ''}:{secret}@{host}").geturl()


class TwinSettings(Block):
    """A simulated cluster with the nodes of the factory file."""

    kind: Literal["twin"] = setting("A simulated cluster.")
    pools: tuple[Name, ...] = setting("Pools of the factory it runs.")
    state: Text | None = setting(
        "File its state lives in, so that it outlives the controller; empty for none.", None
    )
    checkpoint_s: PositiveDurationS = setting(
        "How often jobs save themselves.", 600.0, key="checkpoint", source=_OURS
    )
    save_s: DurationS = setting("How long a save takes.", 2.0, key="save", source=_OURS)
    freeze_s: DurationS = setting(
        "A pause expected to be shorter freezes a job where it stands.",
        60.0,
        key="freeze",
        source=_OURS,
    )
    seed: Count = setting("Seed of what goes wrong.", 0, source=_OURS)
    lost: Share = setting("Share of commands that get lost.", 0.0, source=_OURS)


class SlurmCluster(SlurmSettings):
    """A Slurm cluster."""

    kind: Literal["slurm"] = setting("Slurm, by its commands.")

    @property
    def pools(self) -> tuple[str, ...]:
        """Pools of the factory it runs."""
        return tuple(self.partitions)


class TwinMeterSettings(Block):
    """The meter of simulated clusters."""

    kind: Literal["twin"] = setting("Reads what simulated clusters draw.")


class OtherMeterSettings(Block):
    """A meter by another adapter."""

    kind: Literal["other"] = setting("An adapter named by its place.")
    adapter: Text = setting("module:function that gets `options` and gives a meter.")
    options: dict[str, Any] = setting("What it takes.", {})


FeedChoice = Annotated[
    DayAheadSettings | SettlementSettings | WeatherSettings, Field(discriminator="kind")
]
ManagerSettings = Annotated[TwinSettings | SlurmCluster, Field(discriminator="kind")]
MeterSettings = Annotated[
    TwinMeterSettings | PrometheusSettings | ScrapeSettings | DcgmSettings | OtherMeterSettings,
    Field(discriminator="kind"),
]


class CapsSettings(Block):
    """An agent that caps the power of a pool's accelerators, whatever the pool's manager does."""

    pool: Name = setting("Pool of the factory that its devices belong to.")
    url: Text = setting("Address of the agent.")
    token: Secret = setting("What the agent knows us by.")
    devices: tuple[Text, ...] = setting("Its devices, as it names them.")
    least_w: PowerW = setting("Lowest cap of a device.", key="least")
    full_w: PowerW = setting("Cap at which a device is not held back.", key="full")
    beside_w: PowerW = setting(
        "What the pool draws beside each device: its share of the node.", key="beside"
    )
    hold_s: PositiveDurationS = setting(
        "A cap that is not renewed ends after.",
        60.0,
        key="hold",
        source=f"{_OURS}: thirty ticks",
    )
    timeout_s: PositiveDurationS = setting("Longest wait for an answer.", 2.0, key="timeout")
    ca: Text | None = setting("Certificates trusted, a PEM file; none: the system's own.", None)


class SiteSettings(Block):
    """What holds at a connection."""

    safe_mw: PowerMW = setting(
        "Import allowed when a channel that must speak is silent.", key="safe"
    )
    operator_mw: PowerMW | None = setting(
        "Import allowed by the operator whatever the grid says; empty for the connection's.",
        None,
        key="operator",
    )
    overhead: PositiveRatio = setting(
        "Site power per IT power where no meter says (the plant's slope).",
        1.2,
        source=f"{_OURS}: a usual PUE of such a site",
    )
    base_mw: PowerMW = setting(
        "What the site draws without any IT, where no meter says.", 0.0, key="base", source=_OURS
    )


class ChannelSettings(Block):
    """A channel by which a grid party speaks, and what it may say."""

    kind: ChannelKind = setting("Its protocol; api is what comes by our own interface.")
    points: tuple[Name, ...] = setting("Connections it has a say about.")
    gives: tuple[OrderKindName, ...] = setting("What it may give.", ("limit", "emergency"))
    stale_s: PositiveDurationS = setting(
        "Longest from issue to receipt.",
        300.0,
        key="stale",
        source=f"{_OURS}: five minutes, a message that was queued somewhere",
    )
    skew_s: DurationS = setting(
        "How far its clock may be ahead of ours.",
        5.0,
        key="skew",
        source=f"{_OURS}: clocks kept by NTP are within a second",
    )
    sequence: Flag = setting("Its orders carry a counter that must rise.", False)
    ahead_s: PositiveDurationS = setting(
        "How far ahead an order may begin.", 259_200.0, key="ahead", source=f"{_OURS}: three days"
    )
    lasts_s: PositiveDurationS = setting(
        "How long an order may last.", 172_800.0, key="lasts", source=f"{_OURS}: two days"
    )
    day_ahead_by: Text | None = setting(
        "Local hour of the day before by which a limit must have come, such as 08:30; empty where "
        "it may come at any time.",
        None,
    )
    silent_s: DurationS = setting(
        "Silent for so long, the safe limit holds; 0 s for never.",
        0.0,
        key="silent",
        source=f"{_OURS}: a channel that speaks on events alone is silent most of the time",
    )
    hold_s: PositiveDurationS = setting(
        "How long a setpoint holds without a new one.",
        60.0,
        key="hold",
        source=f"{_OURS}: fifteen setpoints of aFRR, which come every four seconds",
    )
    rate_mw_per_min: PositiveRatio | None = setting(
        "Fastest change of a setpoint, MW a minute; empty for any.", None
    )
    per_minute: PositiveCount = setting(
        "Most orders in a minute.", 600, source=f"{_OURS}: ten a second"
    )
    options: dict[str, Any] = setting("What its adapter takes.", {})

    def due_h(self) -> float | None:
        """`day_ahead_by` as hours."""
        if self.day_ahead_by is None:
            return None
        hour, _, minute = self.day_ahead_by.partition(":")
        return int(hour) + int(minute or 0) / 60.0


class Response(Block):
    """How fast a lower limit is met, and what is done when it is not."""

    deadline_s: PositiveDurationS = setting(
        "A lower limit is met within.",
        30.0,
        key="deadline",
        source="Our requirement B12, 2026, assumption: aFRR gives minutes, an emergency less",
    )
    freeze_after_s: PositiveDurationS = setting(
        "From then on what has not saved itself is frozen where it stands.",
        15.0,
        key="freeze_after",
        source=f"{_OURS}: half the deadline",
    )
    lead_s: DurationS = setting(
        "A limit known before it begins is met so much earlier.",
        30.0,
        key="lead",
        source=f"{_OURS}: the deadline",
    )
    margin: SmallShare = setting(
        "Share of a limit that is kept free.", 0.01, source=f"{_OURS}: error of a good meter"
    )
    model_margin: SmallShare = setting(
        "Share kept free where the model stands in for a meter.",
        0.05,
        source=f"{_OURS}: error of the model against a metered pool",
    )
    patience_s: PositiveDurationS = setting(
        "A manager that hangs for so long while a limit is broken is given up: the plant's own cap "
        "is called, and named where there is none.",
        10.0,
        key="patience",
        source=f"{_OURS}: a third of the deadline",
    )
    meter_stale_s: PositiveDurationS = setting(
        "A reading older than this is none.", 10.0, key="meter_stale", source=f"{_OURS}: five ticks"
    )
    retry_s: PositiveDurationS = setting(
        "A command without effect is given again after.",
        10.0,
        key="retry",
        source=f"{_OURS}: longer than a scheduler takes to act",
    )


class Retention(Block):
    """How long the store keeps what is over; once a day older rows are taken away."""

    over_s: PositiveDurationS = setting(
        "Work that has ended, alarms that have passed, requests that are settled.",
        90 * 86_400.0,
        key="over",
        source=f"{_OURS}: a quarter of a year; what work took stands in its receipts for good",
    )
    messages_s: PositiveDurationS = setting(
        "Raw messages of channels.",
        30 * 86_400.0,
        key="messages",
        source=f"{_OURS}: long enough to look into a complaint; orders are kept for good",
    )
    settled_s: PositiveDurationS = setting(
        "Raw messages of channels that are settled by them (kind uftp); thirteen months at the "
        "least.",
        400 * 86_400.0,
        key="settled",
        source=f"{_OURS}: hours of a right and of a contract are counted by the year, and the last "
        "month's settlement comes after it",
    )


class Settings(Block):
    """The settings of the service."""

    environment: Literal["shadow", "live"] = setting(
        "live acts; shadow writes what it would have done, and touches nothing."
    )
    state: Text = setting("Folder for journals and locks.")
    tick_s: PositiveDurationS = setting(
        "From one turn of the loop to the next.",
        2.0,
        key="tick",
        source=f"{_OURS}: a cluster takes as long to act",
    )
    hung_s: PositiveDurationS = setting(
        "A controller whose loop has not turned for so long is killed, so that another takes over; "
        "also how old its word may be for the service to count as well.",
        60.0,
        key="hung",
        source=f"{_OURS}: thirty ticks, more than the time limits of a turn's calls add up to",
    )
    store: StoreSettings = setting("Where work, orders and people are kept.")
    managers: dict[Name, ManagerSettings] = setting("Clusters by name.")
    meters: dict[Name, MeterSettings] = setting(
        "Meters by name, asked in this order; points are POOL/it and SITE/import, and one without "
        "a meter is modelled.",
        {},
    )
    sites: dict[Name, SiteSettings] = setting("Connections, as the factory names its sites.")
    channels: dict[Name, ChannelSettings] = setting("Channels of grid parties by name.", {})
    caps: dict[Name, CapsSettings] = setting(
        "Agents that cap accelerators by name, for a manager that hangs while a limit is broken.",
        {},
    )
    feeds: dict[Name, FeedChoice] = setting(
        "Where prices and weather come from, by name; what no feed gives is assumed, by name.", {}
    )
    response: Response = setting("How fast a lower limit is met.", Response())
    retention: Retention = setting("How long the store keeps what is over.", Retention())
    api: dict[str, Any] = setting("The HTTP interface; see its own reference.", {})

    def pools(self) -> dict[str, str]:
        """The manager of each pool."""
        return {pool: name for name, one in self.managers.items() for pool in one.pools}


def example_settings() -> str:
    """A commented settings file to start from, for the factory file that `init` writes."""
    file = resources.files("gigafactory.runtime.live").joinpath("data", "serve.yaml")
    return file.read_text(encoding="utf-8")


def load_settings(path: Path, factory: Factory | None = None) -> Settings:
    """Read the settings of the service.

    Args:
        path: the file.
        factory: what they are held against; None leaves that out.

    Raises:
        BadInput: with every problem found.
    """
    document = read_document(path, str(path))
    document.data = rooted(document.data, path.parent)
    found = checked(document, Settings)
    problems = list(check_settings(found, factory, str(path)))
    if problems:
        raise BadInput(problems)
    return found


def check_settings(settings: Settings, factory: Factory | None, where: str) -> Iterator[Problem]:
    """Every contradiction between settings, and with the factory."""
    yield from _check_secrets(settings, where)
    yield from _check_response(settings, where)
    yield from _check_caps(settings, where)
    for name, channel in settings.channels.items():
        yield from _check_channel(name, channel, settings, where)
    if settings.retention.settled_s < _SETTLED_S:
        told = f"{settings.retention.settled_s / 86_400.0:g} d"
        yield Problem(where, "retention.settled", told, "must be at least 397 d, thirteen months")
    seen: set[str] = set()
    for name, manager in settings.managers.items():
        for pool in manager.pools:
            if pool in seen:
                yield Problem(where, f"managers.{name}.pools", pool, "has a manager already")
            seen.add(pool)
    if factory is not None:
        yield from _check_factory(settings, factory, seen, where)


def _check_factory(
    settings: Settings, factory: Factory, pools: set[str], where: str
) -> Iterator[Problem]:
    known = [p.name for p in factory.fleet]
    for pool in sorted(pools - set(known)):
        why = f"is no pool of the factory; known: {', '.join(known)}"
        yield Problem(where, "managers", pool, why)
    for pool in known:
        if pool not in pools:
            yield Problem(where, "managers", pool, "this pool of the factory has no manager")
    for name in settings.sites:
        if name not in factory.sites:
            why = f"is no site of the factory; known: {', '.join(factory.sites)}"
            yield Problem(where, "sites", name, why)
    for name, site in factory.sites.items():
        told = settings.sites.get(name)
        if told is None:
            yield Problem(where, "sites", name, "this site of the factory has no settings")
            continue
        most = connection_mw(factory, name)
        if told.safe_mw > min(most, site.connection.firm_mw):
            why = f"must be at most the firm right, {site.connection.firm_mw:g} MW"
            yield Problem(where, f"sites.{name}.safe", f"{told.safe_mw:g} MW", why)
        if told.operator_mw is not None and told.operator_mw > most:
            why = f"must be at most what the connection carries, {most:g} MW"
            yield Problem(where, f"sites.{name}.operator", f"{told.operator_mw:g} MW", why)


def connection_mw(factory: Factory, site: str) -> float:
    """Real power that a site's connection can carry, MW."""
    line = factory.sites[site].connection
    most = min(line.capacity_mva, line.circuits * line.circuit_capacity_mva)
    return float(most * line.power_factor)


def _check_channel(
    name: str, channel: ChannelSettings, settings: Settings, where: str
) -> Iterator[Problem]:
    if channel.kind == "uftp" and name != GOPACS:
        why = f"a channel of kind uftp is called {GOPACS}: its orders come under this name"
        yield Problem(where, "channels", name, why)
    if name in ("controller", "api", "feeds", "books"):
        yield Problem(where, "channels", name, "is the name of another process; choose another")
    for point in channel.points:
        if point not in settings.sites:
            why = f"is no site of these settings; known: {', '.join(settings.sites)}"
            yield Problem(where, f"channels.{name}.points", point, why)
    if channel.day_ahead_by is not None:
        try:
            right = 0.0 <= (channel.due_h() or 0.0) < 24.0
        except ValueError:
            right = False
        if not right:
            why = "must be a local hour, such as 08:30"
            yield Problem(where, f"channels.{name}.day_ahead_by", channel.day_ahead_by, why)


def _check_response(settings: Settings, where: str) -> Iterator[Problem]:
    told = settings.response
    if told.freeze_after_s >= told.deadline_s:
        why = f"must be less than the deadline, {told.deadline_s:g} s"
        yield Problem(where, "response.freeze_after", f"{told.freeze_after_s:g} s", why)
    if settings.tick_s > told.deadline_s / 3.0:
        why = "must be at most a third of response.deadline, to see whether a limit is met"
        yield Problem(where, "tick", f"{settings.tick_s:g} s", why)
    if settings.hung_s < 5.0 * settings.tick_s:
        why = f"must be at least five ticks, {5.0 * settings.tick_s:g} s"
        yield Problem(where, "hung", f"{settings.hung_s:g} s", why)


def _check_caps(settings: Settings, where: str) -> Iterator[Problem]:
    for name, told in settings.caps.items():
        at = f"caps.{name}"
        if told.pool not in settings.pools():
            yield Problem(where, f"{at}.pool", told.pool, "is no pool of these managers")
        if not told.devices or len(set(told.devices)) != len(told.devices):
            yield Problem(where, f"{at}.devices", "", "must name devices, each once")
        if not 0.0 < told.least_w <= told.full_w:
            why = f"must be above 0 W and at most the full cap, {told.full_w:g} W"
            yield Problem(where, f"{at}.least", f"{told.least_w:g} W", why)


def _check_secrets(settings: Settings, where: str) -> Iterator[Problem]:
    if "@" in settings.store.url and ":" in settings.store.url.split("@")[0].split("//")[-1]:
        why = "holds a password; write it as store.password: {file: ...} or {env: ...}"
        yield Problem(where, "store.url", "", why)
    for name, channel in settings.channels.items():
        yield from _bare(channel.options, f"channels.{name}.options", where)
    for name, meter in settings.meters.items():
        if isinstance(meter, OtherMeterSettings):
            yield from _bare(meter.options, f"meters.{name}.options", where)
    yield from _bare(settings.api, "api", where)


def _bare(told: Any, path: str, where: str) -> Iterator[Problem]:
    """Secrets that stand in the file itself; their values are not repeated."""
    if isinstance(told, Mapping):
        for key, value in told.items():
            here = f"{path}.{key}"
            named = any(word in str(key).lower() for word in _SECRET_WORDS)
            if named and isinstance(value, str):
                why = "is a secret; write it as {file: ...} or {env: ...}"
                yield Problem(where, here, "", why)
            else:
                yield from _bare(value, here, where)
    elif isinstance(told, list | tuple):
        for i, value in enumerate(told):
            yield from _bare(value, f"{path}.{i}", where)


def secret_of(told: Any) -> str:
    """The secret that a block `{file: ...}` or `{env: ...}` among an adapter's options names.

    Raises:
        BadInput: it names none, or what it names is not there.
    """
    found, problems, _ = validate(Document("settings", {"secret": told}), _Held)
    if problems or found is None:
        raise BadInput(problems)
    return found.secret.read("settings")


class _Held(Block):
    """A secret alone."""

    secret: Secret = setting("Where it is.")
