"""The factory file: what a factory is, read once and checked whole.

Knows the shape of a factory (eight blocks of frozen models, each number with its unit, meaning and
source), the checks between its settings, the scenarios that change it and the dated events that
happen to it, and the arrays per market period they compile to. Holds the bundled factories and
scenarios, the dated definitions of an AI factory and a gigafactory, and writes the JSON Schema, the
reference page and the starter file.

Does not know how work is scheduled, power planned or money counted: it says what is there, not what
happens. It imports units, engine and plant (for the accelerators); it may be imported by planner,
adapters, finance, runtime, report and the command line.
"""

from gigafactory.factory.classes import (
    LotVerdict,
    classify,
    fleet_h100_equivalents,
    fleet_rated_mw,
    installed_storage_pb,
    tender_lots,
)
from gigafactory.factory.contracts import CADENCES
from gigafactory.factory.describing import json_schema, reference_markdown, scenario_schema
from gigafactory.factory.loading import (
    bundled,
    bundled_scenarios,
    check_factory,
    factory_text,
    load_factory,
    load_scenario,
    scenario_text,
)
from gigafactory.factory.models import Factory, Pool, Service, Site, Tenant, Work
from gigafactory.factory.provenance import SourceRow, sources
from gigafactory.factory.scenario import Scenario
from gigafactory.factory.starter import init_text
from gigafactory.factory.timeline import Timeline, compile_timeline, instant_of

__all__ = [
    "CADENCES",
    "Factory",
    "LotVerdict",
    "Pool",
    "Scenario",
    "Service",
    "Site",
    "SourceRow",
    "Tenant",
    "Timeline",
    "Work",
    "bundled",
    "bundled_scenarios",
    "check_factory",
    "classify",
    "compile_timeline",
    "factory_text",
    "fleet_h100_equivalents",
    "fleet_rated_mw",
    "init_text",
    "installed_storage_pb",
    "instant_of",
    "json_schema",
    "load_factory",
    "load_scenario",
    "reference_markdown",
    "scenario_schema",
    "scenario_text",
    "sources",
    "tender_lots",
]
