"""The pages on exported files name every column, and none that is not there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import yaml

from gigafactory.assess.access import AccessRecord
from gigafactory.assess.cloudanswers import CloudAnswers
from gigafactory.assess.eed import COLUMNS
from gigafactory.assess.eedfile import EedFile, EedSite
from gigafactory.factory.reading import read_text
from gigafactory.factory.shape import settings
from gigafactory.factory.validating import validate
from tests.docs.test_summary_keys import REFERENCE, documented


def example(page: str) -> str:
    """The YAML block of a page."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return text.split("```yaml\n")[1].split("```")[0]


def test_columns_of_the_eu_export() -> None:
    assert tuple(documented("eed-export.md")) == COLUMNS


def test_columns_of_access_records() -> None:
    names = [field.name for field in dataclasses.fields(AccessRecord)]
    assert documented("access-records.md") == names


def test_settings_of_the_answers_file() -> None:
    told = documented("answers-file.md")
    assert told[:6] == list(settings(CloudAnswers))
    assert told[6:] == ["answer", "why", "source", "documents"]


def test_the_examples_are_files_that_pass() -> None:
    for page, model in (("eed-export.md", EedFile), ("answers-file.md", CloudAnswers)):
        document = read_text(example(page), page)
        found, problems, _ = validate(document, model)
        assert not problems
        assert found is not None


def test_every_setting_of_eed_yaml_is_named() -> None:
    text = (REFERENCE / "eed-export.md").read_text(encoding="utf-8")
    given = set(yaml.safe_load(example("eed-export.md"))["sites"]["maasvlakte"])
    rest = {name for name in settings(EedSite) if name not in given}
    assert {name for name in rest if f"`{name}`" not in text} == set()
    assert Path(REFERENCE).is_dir()
