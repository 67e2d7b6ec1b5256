"""The planner: what will be. Pure: a snapshot in, a decision out.

Knows the energy LP of a site and its horizon, forecasts that cannot see the future, and the rules
by which a plan meets the present: speeds, power budgets, nodes in service. Does no input or output,
reads no clock, draws no random number, and never imports a doer (`adapters`). The only room that
speaks to the solver.
"""

from gigafactory.planner.energy import DayInput, EnergyPlanner, Plan
from gigafactory.planner.forecast import Forecast, Information, forecast
from gigafactory.planner.response import Intent, PoolView, Responder, Wish
from gigafactory.planner.shape import GroupShape, SiteShape

__all__ = [
    "DayInput",
    "EnergyPlanner",
    "Forecast",
    "GroupShape",
    "Information",
    "Intent",
    "Plan",
    "PoolView",
    "Responder",
    "SiteShape",
    "Wish",
    "forecast",
]
