"""Every golden folder is complete, and belongs to a case of one room."""

from tests.adapters.test_golden import CASES as ADAPTERS
from tests.adapters.test_reserves import CASES as TWIN
from tests.assess.test_golden_reports import CASES as ASSESS
from tests.golden.folders import FOLDERS, case
from tests.grid.test_golden import CASES as GRID
from tests.planner.test_golden import CASES as PLANNER
from tests.plant.test_golden import CASES as PLANT
from tests.runtime.live.test_golden import CASES as LIVE
from tests.runtime.test_golden import CASES as RUNTIME


def test_every_case_is_complete_and_used():
    cases = [*GRID, *PLANT, *PLANNER, *ADAPTERS, *TWIN, *RUNTIME, *LIVE, *ASSESS]
    assert len(set(cases)) == len(cases), "a case belongs to one room"
    used = {case(folder) for folder in FOLDERS}
    assert used == set(cases)
    for folder in FOLDERS:
        assert (folder / "expected.yaml").is_file(), folder.name
        readme = (folder / "README.md").read_text(encoding="utf-8")
        assert "by hand" in readme.lower(), folder.name
