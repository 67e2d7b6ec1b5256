"""What a factory file says about its own supply: a small graph, with what is unknown left unknown.

Names are made from the file's: `pool-NAME`, `chip-NAME`, `site-NAME`, `hall-SITE-HALL`,
`connection-SITE`, `asset-NAME`, `battery-NAME`, `generator-NAME`, `ppa-NAME`, `tenant-NAME`,
`service-SUPPLIER`; parties by their own name in small letters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gigafactory.factory.demand import Tenant
from gigafactory.factory.models import Factory, Pool, Site
from gigafactory.factory.sites import Asset
from gigafactory.plant import Chip
from gigafactory.supply import Arrival, Bond, Citation, Edge, Effect, Kind, Node

_W_PER_MW = 1e6
#: Words with which a file says that it does not know.
_NOBODY = frozenset({"unknown", "", "?"})


def slug(name: str) -> str:
    """A name as the graph writes it: small letters, digits and hyphens, without what is in ()."""
    bare = re.sub(r"\(.*?\)", "", name).lower()
    return re.sub(r"[^a-z0-9]+", "-", bare).strip("-") or "unnamed"


@dataclass(slots=True)
class Draft:
    """Nodes and edges as they are gathered.

    Attributes:
        nodes: by name.
        edges: by what makes them the same sentence.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[tuple[str, str, str], Edge] = field(default_factory=dict)

    def add(self, node: Node) -> str:
        """Keep a node, unless one of this name is there; its name comes back.

        A party that is called as a thing is (an operator as its factory) becomes `party-NAME`.
        """
        there = self.nodes.get(node.name)
        if there is not None and node.kind.is_party and not there.kind.is_party:
            node = replace(node, name=f"party-{node.name}")
        self.nodes.setdefault(node.name, node)
        return node.name

    def tie(self, source: str, bond: Bond, target: str, **more: object) -> None:
        """Keep an edge, unless the sentence was said."""
        if source != target:
            edge = Edge(source, bond, target, **more)  # type: ignore[arg-type]
            self.edges.setdefault(edge.key, edge)


def base_of(factory: Factory, chips: Mapping[str, Chip], chip_failures: float) -> Draft:
    """The graph that a factory file makes by itself.

    Args:
        factory: a checked factory.
        chips: the accelerator catalogue.
        chip_failures: share of the working accelerators that breaks in a year and needs a part.
    """
    draft = Draft()
    first = next(iter(factory.sites.values()))
    root = draft.add(
        Node(
            factory.name,
            Kind.ASSET,
            factory.title.en,
            factory.title.nl,
            country=first.place.country,
            sources=(Citation("*", f"Factory file of {factory.name}", 2026, "published"),),
        )
    )
    _govern(draft, factory, root)
    for name, site in factory.sites.items():
        _site(draft, factory, root, name, site)
    for pool in factory.fleet:
        _pool(draft, factory, root, pool, chips, chip_failures)
    _energy(draft, factory, root)
    for tenant in factory.tenants:
        _tenant(draft, factory, root, tenant, chips)
    return draft


def _govern(draft: Draft, factory: Factory, root: str) -> None:
    governance = factory.governance
    laws = governance.jurisdictions
    operator = draft.add(
        Node(
            slug(governance.operator),
            Kind.OPERATOR,
            governance.operator,
            country=laws[0] if laws else "",
            jurisdictions=tuple(laws[1:]),
        )
    )
    draft.tie(operator, Bond.OPERATES, root)
    for site in factory.sites:
        draft.tie(operator, Bond.OPERATES, f"site-{site}")
    for title in governance.owners:
        owner = draft.add(Node(slug(title), Kind.OWNER, title))
        draft.tie(owner, Bond.OWNS, root, effect=Effect.NOTHING)
    below = operator
    for parent in governance.parents:
        above = draft.add(Node(slug(parent.name), Kind.PARENT, parent.name, country=parent.country))
        draft.tie(above, Bond.OWNS, below, effect=Effect.NOTHING)
        below = above
    for supplier in governance.suppliers:
        name = draft.add(
            Node(slug(supplier.name), Kind.SUPPLIER, supplier.name, country=supplier.country)
        )
        service = draft.add(
            Node(
                f"service-{name}",
                Kind.SERVICE,
                f"Service of {supplier.name}",
                f"Dienst van {supplier.name}",
                country=supplier.country,
                layer="cloud_service",
            )
        )
        draft.tie(name, Bond.SUPPLIES, service, reaches=True, stock_months=0.0)
        draft.tie(root, Bond.DEPENDS_ON, service, reaches=True, effect=Effect.NOTHING)
        for site in factory.sites:
            draft.tie(f"site-{site}", Bond.DEPENDS_ON, service, stock_months=0.0)


def _site(draft: Draft, factory: Factory, root: str, name: str, site: Site) -> None:
    place = site.place.country
    node = draft.add(
        Node(f"site-{name}", Kind.ASSET, f"Site {name}", f"Locatie {name}", country=place)
    )
    draft.tie(root, Bond.CONSISTS_OF, node)
    line = site.connection
    link = draft.add(
        Node(
            f"connection-{name}",
            Kind.ASSET,
            f"Grid connection of {name}",
            f"Aansluiting van {name}",
            country=place,
            layer="energy",
            count=line.circuits,
            count_needed=1 if line.n_minus_1 else line.circuits,
        )
    )
    draft.tie(node, Bond.DEPENDS_ON, link)
    for hall in site.halls:
        below = draft.add(
            Node(f"hall-{name}-{hall}", Kind.ASSET, f"Hall {hall}", f"Zaal {hall}", country=place)
        )
        draft.tie(below, Bond.DEPENDS_ON, node)
    known = {slug(name) for p in factory.fleet for name in (p.name, p.chip)}
    known |= {slug(b.name) for b in factory.energy.batteries}
    for asset in site.assets:
        if slug(asset.name) not in known:  # chips, pools and batteries have nodes of their own
            _asset(draft, node, asset)


def _asset(draft: Draft, site: str, asset: Asset) -> None:
    country = "" if asset.country in _NOBODY else asset.country
    thing = draft.add(
        Node(
            f"asset-{asset.name}",
            Kind.ASSET,
            f"{asset.name} ({asset.amount:g} {asset.unit})",
            country=country,
            layer=asset.layer,
        )
    )
    draft.tie(site, Bond.DEPENDS_ON, thing)
    if asset.supplier.lower() not in _NOBODY:
        maker = draft.add(
            Node(slug(asset.supplier), Kind.SUPPLIER, asset.supplier, country=country)
        )
        draft.tie(maker, Bond.SUPPLIES, thing, effect=Effect.REPAIRS)


def _pool(
    draft: Draft,
    factory: Factory,
    root: str,
    pool: Pool,
    chips: Mapping[str, Chip],
    chip_failures: float,
) -> None:
    chip = chips[pool.chip]
    node = draft.add(
        Node(
            f"pool-{pool.name}",
            Kind.ASSET,
            f"Pool {pool.name}",
            country=factory.sites[pool.site].place.country,
            layer="compute",
            accelerators=pool.accelerators,
            h100_equivalent=pool.accelerators * chip.h100_equivalent,
            power_mw=pool.accelerators * max(chip.work_w.values(), default=chip.peak_w) / _W_PER_MW,
            arrivals=tuple(Arrival(d.date, d.accelerators) for d in pool.deliveries),
        )
    )
    draft.tie(root, Bond.CONSISTS_OF, node)
    draft.tie(node, Bond.DEPENDS_ON, f"hall-{pool.site}-{pool.hall}")
    part = _chip(draft, factory, chip, pool)
    draft.tie(
        node,
        Bond.DEPENDS_ON,
        part,
        effect=Effect.REPAIRS,
        failures_per_year=chip_failures,
        spare_share=pool.spare_nodes * chip.node_size / pool.accelerators,
    )


def _chip(draft: Draft, factory: Factory, chip: Chip, pool: Pool) -> str:
    own = factory.finance.capex.chip_price_eur.get(pool.chip)
    each = own.base if own else chip.price_eur[1]
    name = f"chip-{slug(chip.name)}"
    before = draft.nodes.get(name)
    value = (before.value_eur or 0.0 if before else 0.0) + pool.accelerators * each
    said = chip.sources.get("origin")
    draft.nodes[name] = Node(
        name,
        Kind.COMPONENT,
        f"{chip.vendor} {chip.name} ({chip.fabrication})",
        country=chip.origin,
        layer="compute",
        value_eur=value,
        sources=(Citation("country", said.source, said.year, said.state),) if said else (),
    )
    vendor = draft.add(
        Node(
            slug(chip.vendor), Kind.SUPPLIER, chip.vendor, country=chip.origin, actor="chip_vendor"
        )
    )
    draft.tie(vendor, Bond.SUPPLIES, name, stock_months=0.0)
    return name


def _energy(draft: Draft, factory: Factory, root: str) -> None:
    each = factory.finance.capex.battery_eur_per_mwh
    for battery in factory.energy.batteries:
        node = draft.add(
            Node(
                f"battery-{battery.name}",
                Kind.ASSET,
                f"Battery {battery.name}",
                f"Batterij {battery.name}",
                layer="energy",
                value_eur=battery.energy_mwh * each,
            )
        )
        draft.tie(f"site-{battery.site}", Bond.DEPENDS_ON, node, effect=Effect.NOTHING)
    for one in factory.energy.generators:
        node = draft.add(
            Node(
                f"generator-{one.name}",
                Kind.ASSET,
                f"Generator {one.name}",
                f"Aggregaat {one.name}",
                layer="energy",
            )
        )
        draft.tie(f"site-{one.site}", Bond.DEPENDS_ON, node, effect=Effect.NOTHING)
    for ppa in factory.energy.ppas:
        node = draft.add(Node(f"ppa-{ppa.name}", Kind.SERVICE, f"Contract {ppa.name}"))
        draft.tie(root, Bond.DEPENDS_ON, node, effect=Effect.NOTHING)
        for party in ppa.parties:
            name = draft.add(Node(slug(party.name), Kind.OWNER, party.name))
            draft.tie(name, Bond.FINANCES, node, share=party.finance_share, effect=Effect.NOTHING)
            if party.operates:
                draft.tie(name, Bond.OPERATES, node)


def _tenant(
    draft: Draft, factory: Factory, root: str, tenant: Tenant, chips: Mapping[str, Chip]
) -> None:
    node = draft.add(
        Node(
            f"tenant-{tenant.name}",
            Kind.TENANT,
            tenant.title or tenant.name,
            country=tenant.country,
        )
    )
    below = node
    for parent in tenant.parents:
        above = draft.add(Node(slug(parent.name), Kind.PARENT, parent.name, country=parent.country))
        draft.tie(above, Bond.OWNS, below, effect=Effect.NOTHING)
        below = above
    # its data lie with whoever runs the factory
    draft.tie(node, Bond.DEPENDS_ON, root, reaches=True, effect=Effect.NOTHING)
    asked = [work.chips for work in tenant.work] + [one.chips for one in tenant.services]
    wanted = {chip for names in asked for chip in names}
    anywhere = not all(asked)
    pools = [p for p in factory.fleet if anywhere or not wanted or p.chip in wanted]
    whole = sum(p.accelerators * chips[p.chip].h100_equivalent for p in pools)
    for pool in pools:
        share = pool.accelerators * chips[pool.chip].h100_equivalent / whole
        # rounded down, so that the shares never come to more than all
        draft.tie(node, Bond.DEPENDS_ON, f"pool-{pool.name}", share=int(share * 1e9) / 1e9)


__all__ = ["Draft", "base_of", "slug"]
