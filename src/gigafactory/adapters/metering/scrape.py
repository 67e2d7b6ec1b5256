"""Reads a page in the exposition format of Prometheus, straight from what it watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gigafactory.adapters.metering.judging import Judge, Sample
from gigafactory.plant.ports import Reading

if TYPE_CHECKING:
    import httpx

_NS_PER_MS = 1_000_000
#: A page larger than this is not a meter's.
PAGE_MOST = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One sample of a page.

    Attributes:
        name: of the metric.
        labels: its labels.
        value: its value.
        taken_ns: its own timestamp, ns UTC; None where the page gives none.
    """

    name: str
    labels: Mapping[str, str]
    value: float
    taken_ns: int | None


def read_page(text: str) -> list[Line]:
    """Read an exposition page.

    Raises:
        ValueError: it is not one.
    """
    from prometheus_client.parser import text_string_to_metric_families

    lines = []
    for family in text_string_to_metric_families(text):
        for name, labels, value, stamp, *_ in family.samples:
            # the parser gives seconds; pages carry whole milliseconds
            taken = None if stamp is None else round(float(stamp) * 1000.0) * _NS_PER_MS
            lines.append(Line(name, dict(labels), float(value), taken))
    return lines


def fetch(client: httpx.Client, url: str) -> tuple[str, str]:
    """A page's text, or why there is none.

    Returns:
        The text and an empty word, or an empty text and what went wrong, in words.
    """
    import httpx

    try:
        with client.stream("GET", url) as answer:
            if answer.status_code != 200:
                return "", f"{url} answers {answer.status_code}"
            parts, size = [], 0
            for part in answer.iter_bytes():
                size += len(part)
                if size > PAGE_MOST:
                    return "", f"{url} sends more than {PAGE_MOST} bytes"
                parts.append(part)
    except (httpx.HTTPError, OSError) as error:
        return "", f"{url} does not answer ({type(error).__name__})"
    try:
        return b"".join(parts).decode("utf-8"), ""
    except UnicodeDecodeError:
        return "", f"{url} sends bytes that are no text"


def new_client(timeout_s: float) -> httpx.Client:
    """A client that waits no longer than this for anything."""
    import httpx

    return httpx.Client(timeout=httpx.Timeout(timeout_s), follow_redirects=False)


@dataclass(frozen=True, slots=True)
class Pick:
    """Which samples of a page make a point: their sum.

    Attributes:
        metric: name of the metric.
        labels: labels a sample must have; others are free.
        factor: to the unit of the point, such as 1e-6 from W to MW.
    """

    metric: str
    labels: Mapping[str, str]
    factor: float = 1.0

    def of(self, lines: Iterable[Line]) -> list[Line]:
        """The samples that belong to it."""
        wanted = self.labels.items()
        return [x for x in lines if x.name == self.metric and wanted <= x.labels.items()]


class ScrapeMeter:
    """A meter that reads one page.

    Args:
        url: of the page.
        picks: what makes each point.
        judge: whether samples are good.
        timeout_s: longest wait for the page.
        now_ns: tells the time; stands in where samples carry no timestamp of their own.
    """

    def __init__(
        self,
        url: str,
        picks: Mapping[str, Pick],
        judge: Judge,
        timeout_s: float,
        now_ns: Callable[[], int],
    ) -> None:
        self._url, self._picks, self.judge, self._now_ns = url, dict(picks), judge, now_ns
        self._client = new_client(timeout_s)

    def read(self, points: tuple[str, ...], now_ns: int) -> tuple[Reading, ...]:
        """Latest readings of the points asked for, those unavailable left out."""
        asked_ns = self._now_ns()
        text, trouble = fetch(self._client, self._url)
        lines: list[Line] = []
        if not trouble:
            try:
                lines = read_page(text)
            except ValueError as error:
                trouble = f"{self._url} sends no exposition page ({error})"
        samples = {}
        for point in points:
            pick = self._picks.get(point)
            found = pick.of(lines) if pick is not None else []
            if pick is not None and found:
                taken = min(asked_ns if x.taken_ns is None else x.taken_ns for x in found)
                value = sum(x.value for x in found) * pick.factor
                samples[point] = Sample(point, taken, value)
        return self.judge.readings(points, samples, now_ns, trouble)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()
