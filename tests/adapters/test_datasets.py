"""Fetching traces, against a real HTTP server on this machine."""

import hashlib
import http.server
import threading
from pathlib import Path

import pytest
import yaml

from gigafactory.adapters.datasets import Dataset, DownloadError, catalogue, data_folder, get
from gigafactory.engine.errors import BadInput

BODY = bytes(i * 37 % 251 for i in range(700_000))
SUM = hashlib.sha256(BODY).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Gives one file, with ranges, and misbehaves as told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.etag = '"one"'
        self.ranges = True
        self.claims: int | None = None  # a length it claims instead of the true one
        self.drops: list[int] = []  # per request: break off after so many bytes of the answer
        self.status: list[int] = []  # per request: answer with this status instead
        self.asked: list[tuple[str | None, int]] = []  # Range header, bytes sent

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/trace.csv"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        if server.status and (status := server.status.pop(0)) != 200:
            server.asked.append((self.headers.get("Range"), 0))
            self.send_error(status)
            return
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, server.etag)
        start = 0
        if wanted and server.ranges and same:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(server.body):
                server.asked.append((wanted, 0))  # before the answer: who asked may look at once
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            last = len(server.body) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(server.body)}")
        else:
            self.send_response(200)
        rest = server.body[start:]
        self.send_header("Content-Length", str(server.claims or len(rest)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        sent = rest[: server.drops.pop(0)] if server.drops else rest
        server.asked.append((wanted, len(sent)))
        self.wfile.write(sent)


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def entry(server, **changes):
    values = {
        "name": "t", "title": "a trace", "url": server.url, "file": "here/trace.csv",
        "licence": "CC-BY-4.0", "bytes": len(BODY), "about_mb": 0.7, "sha256": SUM,
        "reader": "jobs", "checked": "made here",
    }  # fmt: skip
    return {"t": Dataset(**{**values, **changes})}


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_whole_file_arrives_under_its_name_and_alone(server, tmp_path):
    seen = []
    fetched = get(
        "t",
        tmp_path,
        datasets=entry(server),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert fetched.path.read_bytes() == BODY
    assert (fetched.bytes, fetched.sha256, fetched.resumed_from) == (len(BODY), SUM, 0)
    assert "as published" in fetched.words
    assert files_in(tmp_path) == ["here/trace.csv"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_a_second_time_nothing_is_asked_of_the_server(server, tmp_path):
    get("t", tmp_path, datasets=entry(server))
    again = get("t", tmp_path, datasets=entry(server))
    assert len(server.asked) == 1
    assert "already there" in again.words


def test_a_connection_that_breaks_off_is_taken_up_again(server, tmp_path):
    server.drops = [300_000, 100_000]
    fetched = get("t", tmp_path, datasets=entry(server))
    assert fetched.path.read_bytes() == BODY
    ranges = [wanted for wanted, _ in server.asked]
    assert ranges == [None, "bytes=300000-", "bytes=400000-"]
    assert sum(sent for _, sent in server.asked) == len(BODY)  # not a byte twice


def test_a_later_command_goes_on_where_an_earlier_one_stopped(server, tmp_path):
    server.drops, server.status = [250_000], [200, 503]
    with pytest.raises(DownloadError, match="503"):
        get("t", tmp_path, datasets=entry(server))
    assert files_in(tmp_path) == ["here/.trace.csv.part", "here/.trace.csv.part.json"]
    fetched = get("t", tmp_path, datasets=entry(server))
    assert fetched.resumed_from == 250_000
    assert server.asked[-1] == ("bytes=250000-", len(BODY) - 250_000)
    assert fetched.path.read_bytes() == BODY
    assert files_in(tmp_path) == ["here/trace.csv"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    server.drops, server.status = [250_000], [200, 503]
    unknown = entry(server, sha256=None, bytes=None)
    with pytest.raises(DownloadError):
        get("t", tmp_path, datasets=unknown)
    server.body, server.etag = BODY[::-1], '"two"'
    assert get("t", tmp_path, datasets=unknown).path.read_bytes() == BODY[::-1]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.ranges, server.drops, server.status = False, [250_000], [200, 503]
    with pytest.raises(DownloadError):
        get("t", tmp_path, datasets=entry(server))
    assert get("t", tmp_path, datasets=entry(server)).path.read_bytes() == BODY


def test_without_mark_and_checksum_halves_are_never_joined(server, tmp_path):
    server.etag, server.drops, server.status = "", [250_000], [200, 503]
    unknown = entry(server, sha256=None, bytes=None)
    with pytest.raises(DownloadError):
        get("t", tmp_path, datasets=unknown)
    server.body = BODY[::-1]
    assert get("t", tmp_path, datasets=unknown).path.read_bytes() == BODY[::-1]
    assert server.asked[-1][0] is None


def test_a_part_that_is_whole_already_is_recognised(server, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/.trace.csv.part").write_bytes(BODY)
    mark = f'{{"url": "{server.url}", "mark": "\\"one\\""}}'
    (tmp_path / "here/.trace.csv.part.json").write_text(mark)
    unknown = entry(server, sha256=None, bytes=None)
    assert get("t", tmp_path, datasets=unknown).bytes == len(BODY)
    assert server.asked == [(f"bytes={len(BODY)}-", 0)]


def test_a_wrong_checksum_refuses_and_keeps_nothing(server, tmp_path):
    server.body = BODY[:-1] + b"!"
    with pytest.raises(DownloadError, match=r"instead of .* Nothing was kept"):
        get("t", tmp_path, datasets=entry(server))
    assert files_in(tmp_path) == []


def test_a_wrong_size_a_web_page_and_a_pointer_are_refused(server, tmp_path):
    server.body = BODY[:1000]
    with pytest.raises(DownloadError, match="1000 bytes instead of 700000"):
        get("t", tmp_path, datasets=entry(server))
    loose = entry(server, sha256=None, bytes=None)
    server.body = b"<!DOCTYPE html><html>log in first</html>"
    with pytest.raises(DownloadError, match="web page"):
        get("t", tmp_path, datasets=loose)
    server.body = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"
    with pytest.raises(DownloadError, match="Git LFS pointer"):
        get("t", tmp_path, datasets=loose)
    assert files_in(tmp_path) == []


def test_a_checksum_nobody_published_is_recorded_and_said_and_then_held(server, tmp_path):
    loose = entry(server, sha256=None)
    fetched = get("t", tmp_path, datasets=loose)
    assert SUM in fetched.words
    assert "no checksum is published" in fetched.words
    assert (tmp_path / "here/trace.csv.sha256").read_text() == f"{SUM}  trace.csv\n"
    fetched.path.write_bytes(BODY[:-1])
    with pytest.raises(DownloadError, match="changed or damaged"):
        get("t", tmp_path, datasets=loose)


def test_another_address_must_give_the_same_file(server, tmp_path):
    elsewhere = entry(server, url="http://127.0.0.1:9/none")
    fetched = get("t", tmp_path, url=server.url, datasets=elsewhere)
    assert fetched.sha256 == SUM


def test_no_server_is_told_plainly(tmp_path, server):
    nowhere = entry(server, url="http://127.0.0.1:9/none")
    with pytest.raises(DownloadError, match="no connection") as told:
        get("t", tmp_path, datasets=nowhere, timeout_s=2)
    assert "Traceback" not in str(told.value)
    server.status = [404]
    with pytest.raises(DownloadError, match="404"):
        get("t", tmp_path, datasets=entry(server))


def test_a_file_larger_than_the_disk_is_not_begun(server, tmp_path):
    server.claims = 10**18
    with pytest.raises(DownloadError, match=r"MB are needed and .* MB are free"):
        get("t", tmp_path, datasets=entry(server))
    assert "here/trace.csv" not in files_in(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_told_and_leads_no_further(server, tmp_path):
    (tmp_path / "here").mkdir()
    part = tmp_path / "here/.trace.csv.part"
    part.symlink_to("/dev/full")  # every write fails with ENOSPC
    with pytest.raises(DownloadError, match="the disk is full; make room"):
        get("t", tmp_path, datasets=entry(server))
    part.unlink()
    assert get("t", tmp_path, datasets=entry(server)).path.read_bytes() == BODY


def test_a_folder_that_is_a_file(server, tmp_path):
    (tmp_path / "here").write_text("in the way")
    with pytest.raises(DownloadError, match="here"):
        get("t", tmp_path, datasets=entry(server))


def test_unknown_names_and_addresses_are_bad_input(server, tmp_path):
    with pytest.raises(BadInput, match="known are: t"):
        get("u", tmp_path, datasets=entry(server))
    with pytest.raises(BadInput, match="https://"):
        get("t", tmp_path, url="file:///etc/passwd", datasets=entry(server))
    assert files_in(tmp_path) == []


def test_the_bundled_catalogue_is_sound():
    bundled = catalogue()
    assert list(bundled) == sorted(bundled)
    assert {"acme-seren", "acme-kalos", "helios", "philly-raw", "burstgpt-1"} <= set(bundled)
    assert len({d.file for d in bundled.values()}) == len(bundled)
    for dataset in bundled.values():
        assert dataset.url.startswith("https://")
        assert dataset.licence
        assert dataset.checked
        assert dataset.sha256 is None or dataset.bytes is not None


def test_a_faulty_catalogue_is_told_whole(tmp_path):
    path = tmp_path / "list.yaml"
    raw = {"url": "ftp://x", "file": "../up.csv", "sha256": "ab", "size": 3}
    path.write_text(yaml.safe_dump({"bad": raw}))
    with pytest.raises(BadInput) as told:
        catalogue(path)
    fields = {problem.field for problem in told.value.problems}
    assert {"bad.url", "bad.file", "bad.sha256", "bad.size", "bad.licence"} <= fields


def test_the_data_folder_follows_the_environment():
    assert data_folder({"GIGAFACTORY_DATA": "/d", "XDG_DATA_HOME": "/x"}) == Path("/d")
    assert data_folder({"XDG_DATA_HOME": "/x", "HOME": "/h"}) == Path("/x/gigafactory")
    assert data_folder({"HOME": "/h"}) == Path("/h/.local/share/gigafactory")
