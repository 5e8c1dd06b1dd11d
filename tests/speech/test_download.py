"""Downloads of weights: announced, resumed, checked; what the messages say when they fail."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fastrtc.errors import FastRTCError
from fastrtc.speech import download
from fastrtc.speech.download import ModelDownloadError, Weights, cache_folder, fetched

BODY = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Shelf(BaseHTTPRequestHandler):
    """Serves ranges of the body; the path says how badly."""

    asked: list[str | None]

    def do_GET(self) -> None:
        given = self.headers.get("Range")
        self.asked.append(given)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", given)[1]) if given and self.path != "/no-ranges" else 0
        if start > len(BODY):
            self.send_error(416)
            return
        body = BODY[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        breaks = self.path == "/breaks" or (self.path == "/breaks-once" and len(self.asked) == 1)
        self.wfile.write(body[: len(body) // 2] if breaks else body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[tuple[str, list[str | None]]]:
    asked: list[str | None] = []
    handler = type("OwnShelf", (Shelf,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fastrtc"


def weights(url: str, **changes: Any) -> Weights:
    return Weights(**{"name": "voices/one.bin", "url": url, "size_bytes": len(BODY), "sha256": DIGEST, **changes})


def test_it_is_announced_and_kept(
    server: tuple[str, list[str | None]], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, asked = server
    path = fetched(weights(f"{url}/good"), "the voice one")
    assert path == cache / "voices" / "one.bin"
    assert path.read_bytes() == BODY
    said = capsys.readouterr().err
    assert re.search(r"downloading one\.bin, 1 MB, from 127\.0\.0\.1:\d+ for the voice one", said)
    assert "100 % of 1 MB" in said
    fetched(weights(f"{url}/good"), "the voice one")
    assert asked == [None]
    assert capsys.readouterr().err == ""
    assert [file.name for file in path.parent.iterdir()] == ["one.bin"]


def test_what_an_earlier_attempt_left_is_not_fetched_again(server: tuple[str, list[str | None]], cache: Path) -> None:
    url, asked = server
    left = cache / "voices" / "one.bin.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(BODY[:1000])
    seen: list[int] = []
    assert fetched(weights(f"{url}/good"), "it", lambda done, total: seen.append(done)).read_bytes() == BODY
    assert asked == ["bytes=1000-"]
    assert (seen[0], seen[-1]) == (1000, len(BODY))


def test_a_connection_that_breaks_is_taken_up_again(server: tuple[str, list[str | None]]) -> None:
    url, asked = server
    assert fetched(weights(f"{url}/breaks-once"), "it").read_bytes() == BODY
    assert asked == [None, f"bytes={len(BODY) // 2}-"]


def test_a_server_without_ranges_sends_all_of_it_again(server: tuple[str, list[str | None]], cache: Path) -> None:
    left = cache / "voices" / "one.bin.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x" * 1000)
    assert fetched(weights(f"{server[0]}/no-ranges"), "it").read_bytes() == BODY


def test_another_file_is_refused_and_not_kept(server: tuple[str, list[str | None]], cache: Path) -> None:
    with pytest.raises(ModelDownloadError, match=r"not the file that was expected.*SHA-256") as caught:
        fetched(weights(f"{server[0]}/good", sha256="0" * 64), "it")
    assert isinstance(caught.value, FastRTCError)
    assert list((cache / "voices").iterdir()) == []


def test_a_refusal_says_what_to_do(server: tuple[str, list[str | None]], cache: Path) -> None:
    with pytest.raises(ModelDownloadError, match="answers 404") as caught:
        fetched(weights(f"{server[0]}/missing"), "the voice one")
    assert f"put it at {cache / 'voices' / 'one.bin'}" in str(caught.value)


def test_without_a_network_it_says_what_to_get_and_where_to_put_it(free_port: int, cache: Path) -> None:
    url = f"http://127.0.0.1:{free_port}/one.bin"
    with pytest.raises(ModelDownloadError, match="Connection refused") as caught:
        fetched(weights(url), "the voice one")
    said = str(caught.value)
    assert said.startswith(f"cannot download the voice one, 1 MB from {url}")
    assert f"put it at {cache / 'voices' / 'one.bin'}" in said
    assert list((cache / "voices").iterdir()) == []


def test_who_waits_while_another_fails_begins_anew(
    server: tuple[str, list[str | None]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = download._lock

    def slowly(file: Any) -> None:
        monkeypatch.setattr(download, "_lock", lock)
        with pytest.raises(ModelDownloadError, match="404"):
            fetched(weights(f"{server[0]}/missing"), "it")
        lock(file)

    monkeypatch.setattr(download, "_lock", slowly)
    assert fetched(weights(f"{server[0]}/good"), "it").read_bytes() == BODY


def test_it_gives_up_where_the_connection_breaks_again_and_again(server: tuple[str, list[str | None]]) -> None:
    url, asked = server
    with pytest.raises(ModelDownloadError, match=r"ended after \d+ of 512000 bytes"):
        fetched(weights(f"{url}/breaks"), "it")
    assert len(asked) == 4


def test_the_size_need_not_be_known(server: tuple[str, list[str | None]], tmp_path: Path) -> None:
    one = weights(f"{server[0]}/breaks-once", size_bytes=None, folder=tmp_path / "own", remedy="do without")
    seen: set[int] = set()
    assert fetched(one, "it", lambda done, total: seen.add(total)) == tmp_path / "own" / "voices" / "one.bin"
    assert one.path.read_bytes() == BODY
    assert seen == {len(BODY)}
    assert one.is_here()
    one.path.write_bytes(b"another")
    assert not one.is_here()
    with pytest.raises(ModelDownloadError, match="do without"):
        fetched(weights(f"{server[0]}/missing", size_bytes=None, remedy="do without"), "it")


def test_the_cache_is_where_xdg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "fastrtc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "fastrtc"
