"""One table: which adapter stands behind which port in each environment; and how it is wired.

`ENVIRONMENTS` is the table. `assemble` builds the parts from a factory file and the service's
settings, `open_controller` starts from nothing or goes on where a journal ends, `run_controller` is
the process: it waits to lead, then turns the loop until it is told to stop.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any, Final

import numpy as np

from gigafactory.adapters.caps import CapActuator, CapSettings
from gigafactory.adapters.slurm import SlurmManager
from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.adapters.twincluster import Draw, Manner, Node
from gigafactory.adapters.twinmanager import Faults, TwinManager, TwinMeter
from gigafactory.engine.clock import Clock, SteadyClock
from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.engine.journal import InUse
from gigafactory.factory.loading import load_factory
from gigafactory.factory.models import Factory
from gigafactory.factory.rights import quota_tree, verdicts, without_reserve
from gigafactory.factory.sites import Site
from gigafactory.grid import MarketCalendar
from gigafactory.grid.ports import OrderKind
from gigafactory.jobs.ports import WorkloadManager
from gigafactory.kernel import FULL_SPEED
from gigafactory.planner.poolplan import CLASSES, PoolPlan
from gigafactory.planner.tick import Gate
from gigafactory.plant import load_catalogue
from gigafactory.plant.ports import Meter
from gigafactory.runtime.live import frames
from gigafactory.runtime.live.accounts import Accounts
from gigafactory.runtime.live.caps import CapPart
from gigafactory.runtime.live.daybook import DayBook, day_at, day_path, days_in
from gigafactory.runtime.live.days import keep_factory
from gigafactory.runtime.live.fencing import Fence
from gigafactory.runtime.live.flexing import Flexibility
from gigafactory.runtime.live.intake import Intake, Replaced
from gigafactory.runtime.live.loop import Controller
from gigafactory.runtime.live.orders import Desk, PointRules, SourceRules
from gigafactory.runtime.live.parts import MANAGER_AWAY, PASSING, ClusterPart, Parts, SitePart
from gigafactory.runtime.live.pricing import Pricing
from gigafactory.runtime.live.pulse import Pulse
from gigafactory.runtime.live.recovery import recover_day
from gigafactory.runtime.live.retention import Sweeper
from gigafactory.runtime.live.settings import (
    GOPACS,
    OtherMeterSettings,
    Settings,
    SlurmCluster,
    TwinMeterSettings,
    TwinSettings,
    connection_mw,
)
from gigafactory.runtime.live.shadow import ShadowManager
from gigafactory.runtime.transport import contracted_mw
from gigafactory.units import NS_PER_S

_LOG = logging.getLogger("gigafactory.live")
#: The lease that the one active controller holds.
LEASE: Final = "controller"


class ManagerAway(BadInput):
    """A workload manager cannot be seen now, so that its nodes are not known."""


#: A standby looks so often whether it may lead.
_STANDBY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Environment:
    """What stands behind the ports of the loop in an environment.

    Attributes:
        clock: tells the time.
        manager: `jobs.WorkloadManager`.
        meter: `plant.Meter`.
        orders: `grid.OrderSource`.
        store: where work and people's words are kept.
        sends: whether commands leave the process.
    """

    clock: str
    manager: str
    meter: str
    orders: str
    store: str
    sends: bool


#: Which adapter stands behind which port. Decisions, journal and accounts are the same in all.
ENVIRONMENTS: Final[Mapping[str, Environment]] = {
    "simulate": Environment(
        clock="engine.clock.SimClock",
        manager="adapters.twinmanager.TwinManager",
        meter="adapters.twinmanager.TwinMeter",
        orders="a scripted source",
        store="none",
        sends=True,
    ),
    "shadow": Environment(
        clock="engine.clock.SteadyClock",
        manager="runtime.live.shadow.ShadowManager around the manager of the settings",
        meter="the meters of the settings",
        orders="the channels of the settings, through the store",
        store="adapters.store.Store",
        sends=False,
    ),
    "live": Environment(
        clock="engine.clock.SteadyClock",
        manager="the manager of the settings: adapters.slurm.SlurmManager or the twin's",
        meter="the meters of the settings",
        orders="the channels of the settings, through the store",
        store="adapters.store.Store",
        sends=True,
    ),
}


# --- parts ---------------------------------------------------------------------------------------


def draw_of(plan: PoolPlan) -> Draw:
    """What a pool's accelerators draw in a simulated cluster: the catalogue's figures."""
    idle = plan.idle_power_mw / 1000.0
    work = {label: float(plan.power_mw[g, -1]) / 1000.0 for g, label in enumerate(CLASSES)}
    curves = {
        label: [
            (float(p) / 1000.0 - idle) / max(work[label] - idle, 1e-9) for p in plan.power_mw[g]
        ]
        for g, label in enumerate(CLASSES)
    }
    work["inference"] = work["inference_realtime"]
    curves["inference"] = curves["inference_realtime"]
    return Draw(idle, work, curves)


def twin_nodes(factory: Factory, pools: Sequence[str]) -> list[Node]:
    """Nodes of a simulated cluster, in rack order, named after their pool."""
    catalogue = load_catalogue()
    return [
        Node(f"{spec.name}-{i:05d}", spec.name, catalogue[spec.chip].node_size)
        for spec in factory.fleet
        if spec.name in pools
        for i in range(spec.accelerators // catalogue[spec.chip].node_size)
    ]


def plan_of(factory: Factory, pool: str, nodes: Sequence[str]) -> PoolPlan:
    """The gate's plan of a pool."""
    return PoolPlan.of(factory, pool, nodes, load_catalogue())


def quotas_of(
    factory: Factory, plans: Mapping[str, PoolPlan], at_ns: int
) -> dict[str, tuple[Sequence[int], Sequence[int]]]:
    """What each pool's quotas are on the local day of an instant, and what is lent of them.

    A tenant whose evidence does not hold on that day has no share of its own, as in a simulation.
    Hours of another month that may still be used are not counted.
    """
    catalogue = load_catalogue()
    found: dict[str, tuple[Sequence[int], Sequence[int]]] = {}
    for spec in factory.fleet:
        day = _date(at_ns, factory.sites[spec.site].timezone)
        lost = without_reserve(verdicts(factory, catalogue, day))
        tree = quota_tree(factory, spec, catalogue, plans[spec.name].tenants, lost)
        found[spec.name] = (tree.nominal, tree.lend)
    return found


def _twin(settings: TwinSettings, factory: Factory, clock: Clock, folder: Path) -> TwinManager:
    nodes = twin_nodes(factory, settings.pools)
    names = {p: [n.name for n in nodes if n.pool == p] for p in settings.pools}
    return TwinManager(
        clock,
        nodes,
        {p: draw_of(plan_of(factory, p, names[p])) for p in settings.pools},
        Manner(settings.checkpoint_s, settings.save_s, settings.freeze_s),
        Faults(settings.seed, lost=settings.lost),
        path=folder / settings.state if settings.state else None,
    )


def _slurm(settings: SlurmCluster, _factory: Factory, clock: Clock, _folder: Path) -> SlurmManager:
    return SlurmManager(settings, clock)


def _manager(
    settings: TwinSettings | SlurmCluster, factory: Factory, clock: Clock, folder: Path
) -> WorkloadManager:
    if isinstance(settings, TwinSettings):
        return _twin(settings, factory, clock, folder)
    return _slurm(settings, factory, clock, folder)


def node_names(manager: WorkloadManager, pool: str) -> list[str]:
    """Names of a pool's nodes as a workload manager reports them, numbers in them counted.

    Raises:
        ManagerAway: the manager cannot be seen now.
    """
    seen = manager.observe()
    if seen.trouble:
        why = f"its workload manager cannot be seen: {seen.trouble}"
        raise ManagerAway([Problem(f"pool {pool}", "", "", why)])
    names = [n.node for n in seen.nodes if n.pool == pool]
    return sorted(names, key=_counted)


def _counted(name: str) -> list[tuple[int, str]]:
    return [(int(t), "") if t.isdigit() else (-1, t) for t in re.split(r"(\d+)", name)]


def point_rules(factory: Factory, settings: Settings, at_ns: int) -> dict[str, PointRules]:
    """What holds at each connection on the local day of an instant."""
    found = {}
    for name, site in factory.sites.items():
        line, told = site.connection, settings.sites[name]
        rights = _rights(name, site, at_ns)
        now_mw = next(mw for from_ns, mw in reversed(rights) if from_ns <= at_ns)
        most = max(mw for _, mw in rights)
        sold = next((r for r in factory.energy.reserves if r.site == name), None)
        found[name] = PointRules(
            name,
            connection_mw=connection_mw(factory, name),
            firm_mw=now_mw,
            safe_mw=min(told.safe_mw, most),
            up_mw=sold.afrr_up_mw + sold.fcr_mw if sold is not None else 0.0,
            down_mw=sold.afrr_down_mw + sold.fcr_mw if sold is not None else 0.0,
            ramp_mw_per_min=line.ramp * most if line.ramp is not None and most > 0.0 else None,
            timezone=site.timezone,
            lead_s=settings.response.lead_s,
            rights_mw=rights,
        )
    return found


def _rights(name: str, site: Site, at_ns: int) -> tuple[tuple[int, float], ...]:
    """What contracts allow from each instant on, from the local day of an instant to the third."""
    calendar = MarketCalendar.of(_date(at_ns, site.timezone), 3, site.timezone)
    allowed = contracted_mw(name, site, calendar)
    changes = [0, *(np.flatnonzero(np.diff(allowed)) + 1).tolist()]
    return tuple((int(calendar.start_ns[p]), float(allowed[p])) for p in changes)


def _date(at_ns: int, timezone: str) -> dt.date:
    return dt.date.fromisoformat(day_at(at_ns, timezone).name)


def source_rules(settings: Settings) -> dict[str, SourceRules]:
    """What each channel may say."""
    return {
        name: SourceRules(
            name,
            frozenset(c.points),
            frozenset(OrderKind(kind) for kind in c.gives),
            c.stale_s,
            c.skew_s,
            c.sequence,
            c.ahead_s,
            c.lasts_s,
            c.due_h(),
            c.silent_s,
            c.hold_s,
            c.rate_mw_per_min,
            c.per_minute,
        )
        for name, c in settings.channels.items()
    }


def begin_of(factory: Factory, plans: Mapping[str, PoolPlan], environment: str) -> frames.Begin:
    """The first frame of a day, without day, edges and head."""
    text = json.dumps(factory.model_dump(mode="json"), sort_keys=True)
    where = {p.name: (p.site, p.chip) for p in factory.fleet}
    return frames.Begin(
        environment=environment,
        day="",
        timezone=next(iter(factory.sites.values())).timezone,
        edges_ns=(),
        factory=factory.name,
        factory_digest=hashlib.sha256(text.encode()).hexdigest(),
        sites=tuple(factory.sites),
        tenants=tuple(t.name for t in factory.tenants),
        classes=CLASSES,
        pools=tuple(
            frames.PoolFact(
                name,
                *where[name],
                nodes=plan.nodes,
                node_size=plan.node_size,
                idle_mw=plan.idle_power_mw,
                full_mw=tuple(int(p) for p in plan.power_mw[:, FULL_SPEED]),
            )
            for name, plan in plans.items()
        ),
    )


def assemble(
    factory: Factory, settings: Settings, clock: Clock, intake: Intake, folder: Path
) -> Parts:
    """Put the parts together.

    Args:
        factory: checked.
        settings: of the service.
        clock: whose time it is.
        intake: the store, and the lease to write to it.
        folder: that paths in the settings start from.

    Raises:
        ManagerAway: a manager cannot be seen.
        BadInput: its nodes are not those of the factory file.
    """
    real = {name: _manager(one, factory, clock, folder) for name, one in settings.managers.items()}
    of_pool = settings.pools()
    plans = {
        spec.name: plan_of(factory, spec.name, node_names(real[of_pool[spec.name]], spec.name))
        for spec in factory.fleet
    }
    wrap: Callable[[WorkloadManager], WorkloadManager] = (
        _as_it_is if ENVIRONMENTS[settings.environment].sends else ShadowManager
    )
    sites = {
        name: SitePart(
            tuple(p.name for p in factory.fleet if p.site == name),
            told.overhead,
            told.base_mw,
            told.operator_mw,
        )
        for name, told in settings.sites.items()
    }
    now = clock.now_ns()
    zone = next(iter(factory.sites.values())).timezone
    pricing = Pricing(intake, zone, any(f.kind == "entsoe" for f in settings.feeds.values()))
    return Parts(
        environment=settings.environment,
        begin=begin_of(factory, plans, settings.environment),
        sites={name: sites[name] for name in factory.sites},
        clusters={
            name: ClusterPart(wrap(manager), tuple(settings.managers[name].pools))
            for name, manager in real.items()
        },
        plans=plans,
        gates={name: Gate(plan) for name, plan in plans.items()},
        desk=Desk(source_rules(settings), point_rules(factory, settings, now)),
        intake=intake,
        book=DayBook(
            folder / settings.state / settings.environment, lambda day: keep_factory(day, factory)
        ),
        clock=clock,
        response=settings.response,
        tick_s=settings.tick_s,
        meters=tuple(_meters(factory, settings, real, clock)),
        channels=tuple(n for n, c in settings.channels.items() if c.silent_s > 0.0),
        caps=_caps(settings) if ENVIRONMENTS[settings.environment].sends else {},
        who=f"{socket.gethostname()}:{os.getpid()}",
        points_at=lambda at_ns: point_rules(factory, settings, at_ns),
        sweeper=_sweeper(settings, intake),
        flexibility=_flexibility(settings, intake, zone),
        pricing=pricing,
        prices=pricing.at,
        quotas_at=lambda at_ns: quotas_of(factory, plans, at_ns),
    )


def _sweeper(settings: Settings, intake: Intake) -> Sweeper | None:
    if intake.store is None:
        return None
    settled = tuple(n for n, c in settings.channels.items() if c.kind == "uftp")
    return Sweeper(intake.store, settings.retention, settled)


def _flexibility(settings: Settings, intake: Intake, timezone: str) -> Flexibility | None:
    """What tells the GOPACS gateway what can be given; None without one."""
    gateway = settings.channels.get(GOPACS)
    if gateway is None or gateway.kind != "uftp":
        return None
    told = gateway.options.get("isp_min", 15)  # held to its bounds by the gateway itself
    isp_min = told if isinstance(told, int) and told > 0 else 15
    return Flexibility(intake, timezone, settings.response, isp_min)


def _as_it_is(manager: WorkloadManager) -> WorkloadManager:
    return manager


def _meters(
    factory: Factory, settings: Settings, managers: Mapping[str, WorkloadManager], clock: Clock
) -> list[Meter]:
    found: list[Meter] = []
    for name, told in settings.meters.items():
        if isinstance(told, TwinMeterSettings):
            found.append(_twin_meter(factory, settings, managers))
        elif isinstance(told, OtherMeterSettings):
            found.append(_named(told.adapter, f"meters.{name}.adapter")(told.options, clock))
        else:
            found.append(_opened(name, told, clock))
    return found


def _caps(settings: Settings) -> dict[str, list[CapPart]]:
    """Agents that cap accelerators, by pool."""
    found: dict[str, list[CapPart]] = {}
    for name, told in settings.caps.items():
        agent = CapSettings.model_validate(
            {"url": told.url, "timeout": f"{told.timeout_s} s", "ca": told.ca}
        )
        part = CapPart(
            CapActuator(agent, told.token.read(f"caps.{name}.token")),
            told.devices,
            told.least_w,
            told.full_w,
            told.beside_w,
            told.hold_s,
        )
        found.setdefault(told.pool, []).append(part)
    return found


def _twin_meter(
    factory: Factory, settings: Settings, managers: Mapping[str, WorkloadManager]
) -> TwinMeter:
    of_pool = settings.pools()
    twins = {
        pool: manager
        for pool, name in of_pool.items()
        if isinstance(manager := managers[name], TwinManager)
    }
    first = next(iter(settings.sites.values()))
    return TwinMeter(
        twins,
        {s: [p.name for p in factory.fleet if p.site == s] for s in factory.sites},
        first.overhead,
        first.base_mw,
    )


def _opened(name: str, told: Any, clock: Clock) -> Meter:
    opener = _named("gigafactory.adapters.metering.settings:open_meter", f"meters.{name}")
    made: Meter = opener(told, clock.now_ns)
    return made


def _named(place: str, where: str) -> Any:
    """What stands at module:name.

    Raises:
        BadInput: nothing does.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise refuse("settings", where, place, f"cannot be used: {error}") from None


# --- starting ------------------------------------------------------------------------------------


def open_controller(parts: Parts) -> Controller:
    """Start from nothing, or go on where the journal ends.

    Raises:
        InUse: another process writes the journal.
        Damaged: the journal is damaged in the middle.
    """
    now = parts.clock.now_ns()
    parts.intake.begin(now)
    accounts = Accounts(parts)
    days = days_in(parts.book.folder)
    if not days:
        accounts.start(now)
        return _caught_up(Controller(parts, accounts), now)
    path = day_path(parts.book.folder, days[-1])
    torn = parts.book.resume(days[-1])
    found = recover_day(path, accounts.memory.take)
    if found.begin is None:  # killed before the first frame was on the disk
        accounts.first(days[-1], now)
        return _caught_up(Controller(parts, accounts), now)
    if now < found.upto_ns:  # the system's time was set back while nobody ran
        at_least = getattr(parts.clock, "at_least", None)
        now = max(now, found.upto_ns)
        if at_least is not None:
            at_least(now)
    accounts.resume(found, torn.torn_bytes, "crash or stop", now)
    controller = Controller(parts, accounts)
    for order in found.orders:
        parts.desk.adopt(order)
    controller.paused = {job: i for i, job in enumerate(found.paused)}
    controller.ranks = len(found.paused)
    sites = list(parts.sites)
    controller.over_ns = {sites[site]: since for site, since in found.over_ns.items()}
    names = list(parts.plans)
    for pool, command in found.doubtful:
        if pool >= 0:
            controller.adopt(names[pool], command, now)
    parts.book.sync()
    return _caught_up(controller, now)


def _caught_up(controller: Controller, now: int) -> Controller:
    """What the store knows beside the journal: orders that stand, work that should be placed."""
    parts = controller.parts
    for order in parts.intake.catch_up(now):
        parts.desk.adopt(order)
    controller.requests.recall(parts.intake.settled_overrides())
    parts.intake.recall_alarms(PASSING)
    controller.expect(parts.intake)
    return controller


def run_controller(
    factory_file: str, settings: Settings, folder: Path, stop: Event, ticks: int | None = None
) -> None:
    """The controller's process: wait to lead, then turn the loop until told to stop.

    Args:
        factory_file: a bundled name or a path.
        settings: of the service.
        folder: that paths in the settings start from.
        stop: set from outside to end it.
        ticks: turns at most; None for no end.

    Raises:
        BadInput: the parts cannot be put together.
    """
    factory = load_factory(factory_file)
    clock = SteadyClock()
    pulse = Pulse(settings.hung_s)
    pulse.starts()
    pulse.watch()
    try:
        _lead(factory, settings, folder, clock, stop, ticks, pulse)
    finally:
        pulse.ends()


def _lead(
    factory: Factory,
    settings: Settings,
    folder: Path,
    clock: SteadyClock,
    stop: Event,
    ticks: int | None,
    pulse: Pulse,
) -> None:
    """Wait to lead and turn, again and again; see `run_controller`."""
    store = _opened_store(settings, folder, stop, pulse)
    if store is None:
        return

    def made(intake: Intake) -> Parts:
        return assemble(factory, settings, clock, intake, folder)

    try:
        while not stop.is_set():
            lease = _wait_to_lead(store, clock, stop, pulse)
            if lease is None:
                return
            controller = None
            try:
                controller = _take_over(made, Intake(store, lease), clock, stop, pulse)
                if controller is None:
                    continue
                _LOG.info("leads", extra={"fields": {"day": controller.parts.book.day}})
                if not _turn(controller, clock, settings.tick_s, stop, ticks, pulse):
                    return
            except Replaced:
                _LOG.warning("another controller leads; this one stands by")
            finally:
                if controller is not None:
                    controller.parts.book.close()
                lease.release()
    finally:
        store.close()


def _opened_store(settings: Settings, folder: Path, stop: Event, pulse: Pulse) -> Store | None:
    """The store, as soon as it can be reached; None where we are told to stop first."""
    url, limit_s = settings.store.full_url(folder), min(settings.tick_s / 2.0, 2.0)
    said = False
    while not stop.is_set():
        pulse.beats()
        try:
            return Store.open(url, limit_s=limit_s)
        except StoreTrouble as trouble:
            if not said:
                _LOG.warning("the store is away: %s", trouble.why)
                said = True
        stop.wait(_STANDBY_S)
    return None


def _wait_to_lead(store: Store, clock: Clock, stop: Event, pulse: Pulse) -> Any:
    """The lease, as soon as nobody else holds it; None where we are told to stop first."""
    who = f"{socket.gethostname()}:{os.getpid()}"
    said = False
    while not stop.is_set():
        pulse.beats()
        try:
            lease = store.lead(LEASE, clock.now_ns(), who)
        except StoreTrouble as trouble:
            _LOG.warning("the store is away: %s", trouble.why)
            lease = None
        if lease is not None:
            return lease
        if not said:
            _LOG.info("stands by")
            said = True
        stop.wait(_STANDBY_S)
    return None


def _take_over(
    parts: Callable[[Intake], Parts], intake: Intake, clock: Clock, stop: Event, pulse: Pulse
) -> Controller | None:
    """Go on where the journal ends, once whoever led before has let go of it.

    That one may not know yet that another leads, where the store was away for a while: it finds
    out from the store, once that answers, or else from the note beside the clusters. Until then it
    writes, and nobody else may. A workload manager that cannot be seen is waited for as well.

    Returns:
        None where we are told to stop first, or do not lead any more.
    """
    said = ""
    while not stop.is_set() and intake.lease.held():
        pulse.starts()
        made = None
        try:
            made = parts(intake)
            return open_controller(made)
        except ManagerAway as away:
            why = str(away)
            intake.begin(clock.now_ns())
            intake.alarm(MANAGER_AWAY, "start", why)
            intake.flush()
        except InUse as held:
            why = f"the one before has not let go yet: {held}"
            assert made is not None
            Fence(made.clusters, made.intake).note(clock.now_ns())
        if why != said:
            _LOG.warning("waits: %s", why)
            said = why
        stop.wait(_STANDBY_S / 4.0)
    return None


def _turn(
    controller: Controller,
    clock: Clock,
    tick_s: float,
    stop: Event,
    ticks: int | None,
    pulse: Pulse,
) -> bool:
    """Turn until told to stop; whether it should be tried to lead again."""
    step, done = int(tick_s * NS_PER_S), 0
    due = clock.now_ns()
    while not stop.is_set():
        report = controller.tick()
        pulse.beats()
        done += 1
        for kind, about in report.troubles:
            _LOG.debug("trouble", extra={"fields": {"fallback": kind, "about": about}})
        if ticks is not None and done >= ticks:
            return False
        due = max(due + step, clock.now_ns())
        while not stop.is_set() and (left := due - clock.now_ns()) > 0:
            stop.wait(min(left / NS_PER_S, 0.5))
    return False
