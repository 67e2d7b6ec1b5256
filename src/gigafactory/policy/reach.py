"""Whose law reaches an operator or a tenant: the chain of owners, and distance on the globe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from gigafactory.policy.facts import Party, PoolFacts, ProjectFacts, TenantFacts
from gigafactory.policy.tables import thresholds

EARTH_RADIUS_KM: Final = 6371.0
_UP: Final = " → "


@dataclass(frozen=True, slots=True)
class Exposure:
    """A way by which law from outside the EEA reaches somebody.

    Attributes:
        path: from the operator or tenant up to the one who can be compelled, each with a country.
        country: whose law.
    """

    path: str
    country: str


def operator_exposures(pool: PoolFacts) -> tuple[Exposure, ...]:
    """Every way by which law from outside the EEA reaches the operator of a pool.

    The operator's own jurisdictions, every owner at any level (an owner within the EEA does not
    shield from one above it), and suppliers who can reach data or stop the service.
    """
    first = f"{pool.operator or pool.name} ({', '.join(pool.jurisdictions) or '?'})"
    own = tuple(Exposure(first, country) for country in pool.jurisdictions if _outside(country))
    return (*own, *_upwards(first, pool.parents), *_beside(first, pool.suppliers))


def tenant_exposures(tenant: TenantFacts) -> tuple[Exposure, ...]:
    """Every way by which law from outside the EEA reaches a tenant."""
    first = f"{tenant.name} ({tenant.country})"
    own = (Exposure(first, tenant.country),) if _outside(tenant.country) else ()
    return (*own, *_upwards(first, tenant.parents))


def _outside(country: str) -> bool:
    return country not in thresholds().eea


def _upwards(first: str, parents: tuple[Party, ...]) -> tuple[Exposure, ...]:
    found = []
    path = first
    for parent in parents:
        path += f"{_UP}{parent.name} ({parent.country})"
        if _outside(parent.country):
            found.append(Exposure(path, parent.country))
    return tuple(found)


def _beside(first: str, suppliers: tuple[Party, ...]) -> tuple[Exposure, ...]:
    return tuple(
        Exposure(f"{first}{_UP}{one.name} ({one.country})", one.country)
        for one in suppliers
        if _outside(one.country)
    )


def great_circle_km(
    latitude_deg: float, longitude_deg: float, to_latitude_deg: float, to_longitude_deg: float
) -> float:
    """Distance between two places as the crow flies, km (haversine, a sphere of 6,371 km)."""
    a, b = math.radians(latitude_deg), math.radians(to_latitude_deg)
    half_turn = math.radians(to_longitude_deg - longitude_deg) / 2.0
    h = math.sin((b - a) / 2.0) ** 2 + math.cos(a) * math.cos(b) * math.sin(half_turn) ** 2
    return 2.0 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, h)))


def user_distance_km(project: ProjectFacts, pool: PoolFacts) -> float:
    """Farthest its users can be from a pool, km.

    Users are known by their distance from the home site only. From another site they are at most
    that distance and the one between the sites away (the triangle's long way round).
    """
    if project.home_latitude_deg is None or project.home_longitude_deg is None:
        return project.user_distance_km
    between_km = great_circle_km(
        project.home_latitude_deg, project.home_longitude_deg, pool.latitude_deg, pool.longitude_deg
    )
    return project.user_distance_km + between_km
