"""The words of finance, as they stand at the head of a column or a row."""

from __future__ import annotations

from gigafactory.finance import words


def word(key: str, lang: str) -> str:
    """A word of the tables of finance, with a capital."""
    return _capital(words.word(key, lang))


def known_or(key: str, lang: str) -> str:
    """The same, or the key itself in plain letters."""
    return _capital(words.known_or(key, lang))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


__all__ = ["known_or", "word"]
