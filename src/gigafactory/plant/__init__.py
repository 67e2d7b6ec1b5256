"""The plant: what exists, and its physics.

Knows chips and their watts, power-against-speed curves, electrical losses, cooling and its water,
waste heat, the battery, the layers every asset belongs to, and the ports through which a real plant
is metered and steered. Pure functions over arrays with one value per market period; no files except
its own data, no clock, no randomness.

Does not know jobs, prices, the grid connection, quotas or money made: those are other rooms
(``jobs``, ``grid``, ``policy``, ``finance``), and it never imports them. It imports only ``units``
and ``engine``. Any room above it may import it (``policy``, ``factory``, ``planner``, ``adapters``,
``finance``, ``runtime``, ``report``).

Formulas, sources and ranges of validity stand in each docstring and in the documentation pages on
power curves and on cooling and heat.
"""

from gigafactory.plant.catalogue import CLASS_LABELS, Chip, h100_equivalents, load_catalogue
from gigafactory.plant.provenance import Source

__all__ = ["CLASS_LABELS", "Chip", "Source", "h100_equivalents", "load_catalogue"]
