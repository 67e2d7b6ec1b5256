"""Numbers whose names may stand without a unit, and why: a field, or a whole record.

An entry that is no longer needed fails the test, so the list only shrinks by itself; adding to it
is a choice that needs a reason.
"""

from __future__ import annotations

_KEYS = "the unit is in each key or column name"
_SIGNAL = "in the unit of the signal, which the record names"
_BY_GROUP = "kW for the limit and the ramp, a share for a job, by their names"
_RATIO = "a ratio of two numbers in the same unit; the word is the field's own"
_CARNOT = "share of Carnot's coefficient of performance; the word is the field's own"
_LEVEL = "a level by month: the share that is left of what there should be"
_PANEL = "numbers to draw; their unit is in the panel's title"

ALLOWED: dict[str, str] = {
    "adapters/datasets.py:Dataset.about_mb": "MB is a size in bytes and no unit of the model",
    "assess/circular.py:AfterFirstLife.kept": "a number of accelerators",
    "assess/circular.py:AfterFirstLife.recycled": "a number of accelerators",
    "assess/footprint.py:Factor.value": _KEYS,
    "assess/footprint.py:Span.high": "in the unit of what is spanned, which names it",
    "assess/footprint.py:Span.low": "in the unit of what is spanned, which names it",
    "assess/results.py:Assessment.scores": "in the unit of the finding of the same name",
    "engine/journal.py:Frame.arrays": _KEYS,
    "grid/figures.py:Figure.value": _KEYS,
    "grid/files.py:Laid.columns": _KEYS,
    "grid/files.py:TimeTable.columns": _KEYS,
    "grid/weather.py:Weather.solar": "a capacity factor, as in the signals of the same name",
    "grid/weather.py:Weather.wind_offshore": "a capacity factor, as in the signals",
    "grid/weather.py:Weather.wind_onshore": "a capacity factor, as in the signals",
    "jobs/calibration.py:Calibration.odds": "probabilities by end state",
    "jobs/calibration.py:Calibration.published": "figures as published, each key with its unit",
    "jobs/calibration.py:WorkType.batch_mean": "a mean number of jobs",
    "jobs/calibration.py:WorkType.together": "a share of jobs, between 0 and 1",
    "jobs/generate.py:Demand.monthly": "twelve weights without a dimension",
    "jobs/services.py:Served.beyond": "a number of requests, beside `requests`",
    "jobs/services.py:Service.headroom": _RATIO,
    "jobs/services.py:Service.peak_to_mean": _RATIO,
    "planner/energy.py:DayInput.capacity": "a number of accelerators",
    "planner/event.py:EventPlan.exceeded": _BY_GROUP,
    "planner/eventprogram.py:Answer.slack": _BY_GROUP,
    "planner/information.py:Forecast.values": _SIGNAL,
    "planner/judging.py:ForecastError.bias": _SIGNAL,
    "planner/judging.py:ForecastError.mae": _SIGNAL,
    "planner/judging.py:ForecastError.pinball": _SIGNAL,
    "planner/methods.py:Method": _SIGNAL,
    "planner/lean.py:Rows.value": "an entry of a matrix has the units of its row and column",
    "planner/numbers.py:Filled": "a column or row has the unit of what it stands for",
    "planner/numbers.py:Numbers.backlog_most": "accelerator-hours, as the docstring says",
    "planner/numbers.py:Numbers.capacity": "a number of accelerators",
    "planner/numbers.py:Numbers.most": "a number of accelerators",
    "planner/proof.py:Proof.most_amiss": "a row has the unit of what it stands for",
    "planner/yardstick.py:Course.capacity": "a number of accelerators",
    "planner/yardstick.py:Course.running": "a number of accelerators",
    "planner/solving.py:Solution.columns": "a column has the unit of what it stands for",
    "planner/shape.py:GroupShape.sheds": _RATIO,
    "planner/shape.py:SiteShape.site_per_it": _RATIO,
    "planner/energy.py:Plan.running": "a number of accelerators, counted, not measured",
    "planner/response.py:Wish.running": "a number of accelerators, counted, not measured",
    "plant/heat.py:HeatNetwork.quality": _CARNOT,
    "plant/heat.py:HomesCheck.homes_always": "a number of homes, counted, not measured",
    "plant/thermal.py:CoolingDesign.chiller_quality": _CARNOT,
    "plant/thermal.py:CoolingDesign.flow_floor": _RATIO,
    "plant/thermal.py:CoolingDesign.wetting": _RATIO,
    "runtime/islanding.py:Policy.site_per_it": _RATIO,
    "report/figures/bars.py:Stack.layers": _PANEL,
    "report/figures/cost.py:CostPart": "EUR per GPU-hour, as the record's docstring says first",
    "report/figures/week.py:WeekOfPower": _PANEL,
    "report/figures/year.py:Panel.cells": _PANEL,
    "report/frames.py:Frame.seconds": _KEYS,
    "report/frames.py:Series.columns": _KEYS,
    "report/receipts.py:Receipts.amounts": _KEYS,
    "runtime/compare.py:Row": "the unit is the end of the row's key",
    "runtime/folder.py:Snapshot.arrays": _KEYS,
    "testing/factories.py:SmallSite": "shares of the load when everything works",
    "runtime/outlook.py:Expected.demand": "a number of accelerators",
    "runtime/outlook.py:Expected.usable": "a number of accelerators",
    "runtime/loop.py:Trace.senses": "one column per sense, whose name has the unit",
    "assess/eedvalues.py:Told.value": "in the unit of the field, which the framework's data name",
    "assess/metered.py:SiteMeters.columns": _KEYS,
    "assess/tender.py:Band.figures": "ratios, hours and counts, by the key of each",
    "supply/concentration.py:Baseline.holders": "owner, country and share of the whole",
    "supply/concentration.py:OrderLine.alternatives": "a name and months, as the docstring says",
    "supply/concentration.py:OrderLine.origins": "shares of the value by country",
    "supply/resilience.py:Spares.survival": _LEVEL,
    "supply/stopping.py:Stop.parts": _LEVEL,
    "supply/stopping.py:Stop.repairs": _LEVEL,
    "supply/stopping.py:Stop.runs": _LEVEL,
    "supply/stopping.py:Stop.tenants": _LEVEL,
}
