"""The planner: what will be. Pure: a snapshot in, a decision out.

Knows the energy LP of a site and its horizon, forecasts that cannot see the future, the rules by
which a plan meets the present (speeds, power budgets, nodes in service), and the response of a site
second by second. Does no input or output, reads no clock, draws no random number, and never imports
a doer (`adapters`). The only room that speaks to the solver. What one tick of the live controller
decides for a pool is in `planner.tick`, made by the kernel.
"""

from gigafactory.planner.balancing import (
    Action,
    Afrr,
    Fcr,
    FlexClass,
    ResponsePlant,
    Seconds,
    Setpoints,
    State,
    Trajectory,
    merit_order,
    respond,
    rest,
)
from gigafactory.planner.delivery import Delivery, summarise
from gigafactory.planner.energy import DayInput, EnergyPlanner, Plan
from gigafactory.planner.forecast import Forecast, Information, forecast, gate_forecast
from gigafactory.planner.response import Intent, PoolView, Responder, Wish
from gigafactory.planner.scenarios import scenarios
from gigafactory.planner.shape import GroupShape, SiteShape

__all__ = [
    "Action",
    "Afrr",
    "DayInput",
    "Delivery",
    "EnergyPlanner",
    "Fcr",
    "FlexClass",
    "Forecast",
    "GroupShape",
    "Information",
    "Intent",
    "Plan",
    "PoolView",
    "Responder",
    "ResponsePlant",
    "Seconds",
    "Setpoints",
    "SiteShape",
    "State",
    "Trajectory",
    "Wish",
    "forecast",
    "gate_forecast",
    "merit_order",
    "respond",
    "rest",
    "scenarios",
    "summarise",
]
