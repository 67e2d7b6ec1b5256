"""The rules by name, and each as a sentence that a tenant reads, in English or in Dutch."""

from __future__ import annotations

import datetime as dt
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from gigafactory.plant.provenance import Source
from gigafactory.policy.tables import access_modes, read_data, source_in, thresholds

LANGUAGES: Final = ("en", "nl")
KINDS: Final = ("refusal", "wait", "flag", "incentive")

_FILE: Final = "rules.yaml"
#: Fields that hold a share and are shown in percent.
_PERCENT: Final = frozenset({"discount", "share", "cap"})
#: Fields that are written without a separator of thousands.
_PLAIN: Final = frozenset({"year"})
_MONTHS: Final = {
    "en": "January February March April May June July August September October November December",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: its id.
        kind: refusal, wait, flag or incentive.
        title_en, title_nl: in a few words.
        text_en, text_nl: the sentence, with its fields in braces.
        source: the law or document it follows.
    """

    name: str
    kind: str
    title_en: str
    title_nl: str
    text_en: str
    text_nl: str
    source: Source

    def title(self, lang: str) -> str:
        """The title in a language."""
        return self.title_nl if lang == "nl" else self.title_en

    @property
    def fields(self) -> frozenset[str]:
        """What the sentence needs, in either language."""
        return frozenset(
            name
            for text in (self.text_en, self.text_nl)
            for _, name, _, _ in string.Formatter().parse(text)
            if name
        )


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that applied, with the particulars of the case.

    Attributes:
        rule: id of the rule.
        fields: name and value of each particular, in order of name.
    """

    rule: str
    fields: tuple[tuple[str, object], ...] = ()

    @classmethod
    def of(cls, rule: str, **fields: object) -> Reason:
        """A reason; the fields are those its sentence names."""
        assert rules()[rule].fields == set(fields), f"{rule} needs {sorted(rules()[rule].fields)}"
        return cls(rule, tuple(sorted(fields.items())))

    @property
    def kind(self) -> str:
        """The kind of the rule."""
        return rules()[self.rule].kind

    def value(self, field: str) -> object:
        """One particular."""
        return dict(self.fields)[field]

    def text(self, lang: str = "en") -> str:
        """The sentence in a language."""
        return explain(self.rule, lang, **dict(self.fields))


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by its id."""
    return {
        name: Rule(
            name=name,
            kind=row["kind"],
            title_en=row["title"]["en"],
            title_nl=row["title"]["nl"],
            text_en=row["text"]["en"],
            text_nl=row["text"]["nl"],
            source=source_in(_FILE, name, row["source"]),
        )
        for name, row in read_data(_FILE)["rules"].items()
    }


@cache
def _words() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    table: dict[str, Any] = read_data(_FILE)["words"]
    return {field: {str(key): v for key, v in known.items()} for field, known in table.items()}


def explain(rule: str, lang: str = "en", **fields: object) -> str:
    """Say a rule in a sentence.

    Args:
        rule: its id.
        lang: ``en`` or ``nl``.
        fields: the particulars; those of the sentence at least.

    Raises:
        KeyError: no such rule, or a particular is missing.
    """
    assert lang in LANGUAGES, f"{lang!r} is not one of {', '.join(LANGUAGES)}"
    found = rules()[rule]
    template = found.text_nl if lang == "nl" else found.text_en
    return template.format(**{name: _said(name, value, lang) for name, value in fields.items()})


def _said(name: str, value: object, lang: str) -> str:
    """One particular as a reader of the language writes it."""
    known = _words().get(name)
    if known is not None and str(value) in known:
        return known[str(value)][lang]
    if name == "mode":
        return access_modes()[str(value)].title(lang)
    if name == "law":
        return _law(str(value), lang)
    if isinstance(value, dt.date):
        month = _MONTHS[lang].split()[value.month - 1]
        return f"{value.day} {month} {value.year}"
    if name in _PLAIN:
        return str(value)
    if isinstance(value, int | float):
        return _number(float(value), name, lang)
    return str(value)


def _number(value: float, name: str, lang: str) -> str:
    if name in _PERCENT:
        return f"{_number(value * 100.0, '', lang)} %"
    text = f"{value:,.0f}" if abs(value) >= 100.0 or value == int(value) else f"{value:,.3g}"
    return text.translate(str.maketrans(",.", ".,")) if lang == "nl" else text


def _law(country: str, lang: str) -> str:
    """The best-known law of a country that reaches data abroad, in brackets."""
    found = thresholds().reaching_laws.get(country)
    return f" ({found[LANGUAGES.index(lang)]})" if found else ""
