"""Cooling degree days by the method of Eurostat and the Joint Research Centre."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gigafactory.assess.cited import framework_data


def cooling_degree_days(daily_mean_c: npt.ArrayLike) -> float:
    """Cooling degree days: the sum of (mean - 21 degC) over days with a mean of 24 degC or more.

    A day between 21 and 24 degC counts nothing: below the threshold nobody cools.

    Args:
        daily_mean_c: mean outdoor temperature of each day, degC, shape [days].

    Returns:
        Degree-days (kelvin times days). Source: see `data/eed/framework.yaml`, `degree_days`.
    """
    rule = framework_data("eed")["degree_days"]
    mean = np.asarray(daily_mean_c, np.float64)
    warm = mean >= float(rule["threshold_c"])
    return float((mean - float(rule["base_c"]))[warm].sum())


__all__ = ["cooling_degree_days"]
