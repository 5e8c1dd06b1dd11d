"""Whisper: its files from a hub on this machine, and what is asked of ``faster-whisper``."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech import whisper
from fastrtc.speech.download import ModelDownloadError
from fastrtc.speech.hub import fetched_repository
from fastrtc.speech.protocol import Word
from fastrtc.speech.recogniser import get_stt_model
from fastrtc.speech.whisper import WhisperSTT

COMMIT = "3d3d5dee26484f91867d81cb899cfcf72b96be6c"
FILES = {
    "model.bin": bytes(range(256)) * 999,
    "config.json": b"{}",
    "tokenizer.json": b'{"model": 1}',
    "vocabulary.txt": b"a\nb\n",
    "README.md": b"not wanted",
}


class Hub(BaseHTTPRequestHandler):
    """The Hub's routes for one repository, as its documentation and its clients have them."""

    asked: list[tuple[str, str | None]]
    spoilt: set[str]

    def do_GET(self) -> None:
        given = self.headers.get("Range")
        self.asked.append((self.path, given))
        root = "/Systran/faster-whisper-base.en"
        if self.path == f"/api/models{root}/revision/main":
            self._answer(json.dumps({"sha": COMMIT}).encode())
        elif self.path == f"/api/models{root}/tree/{COMMIT}":
            self._answer(json.dumps([entry(name, data) for name, data in FILES.items()]).encode())
        elif self.path.startswith(f"{root}/resolve/{COMMIT}/"):
            name = self.path.rsplit("/", 1)[1]
            data = FILES[name] if name not in self.spoilt else FILES[name][::-1]
            start = int(given.removeprefix("bytes=").removesuffix("-")) if given else 0
            self._answer(data[start:], 206 if given else 200)
        else:
            self.send_error(404)

    def _answer(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


def entry(name: str, data: bytes) -> dict[str, Any]:
    git = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    found: dict[str, Any] = {"type": "file", "oid": git, "size": len(data), "path": name}
    if name == "model.bin":
        found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return found


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    handler = type("OwnHub", (Hub,), {"asked": [], "spoilt": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{http.server_port}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        whisper._network.cache_clear()
        yield handler
        whisper._network.cache_clear()
        http.shutdown()
        thread.join()


class Network:
    """Stands for ``faster_whisper.WhisperModel``."""

    made: list[tuple[tuple[Any, ...], dict[str, Any]]]
    asked: list[dict[str, Any]]

    def __init__(self, *given: Any, **options: Any) -> None:
        self.made.append((given, options))

    def transcribe(self, samples: Any, **options: Any) -> Any:
        assert samples.dtype == np.float32
        self.asked.append({"size": samples.size, **options})
        word = SimpleNamespace(word=" Hello", start=0.1, end=0.4)
        segments = [
            SimpleNamespace(text=" Hello", words=[word] if options["word_timestamps"] else None, avg_logprob=-0.1),
            SimpleNamespace(text=" there.", words=None, avg_logprob=-0.3),
        ]
        return iter(segments), SimpleNamespace(language="en")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> type[Network]:
    kind = type("OwnNetwork", (Network,), {"made": [], "asked": []})
    module = ModuleType("faster_whisper")
    module.WhisperModel = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    return kind


def test_its_files_are_fetched_once(hub: type[Hub], network: type[Network], tmp_path: Path) -> None:
    model = get_stt_model("whisper/base.en")
    folder = tmp_path / "fastrtc" / "whisper-base.en"
    assert {path.name for path in folder.iterdir()} == {*FILES, "complete.json"} - {"README.md"}
    assert all((folder / name).read_bytes() == FILES[name] for name in FILES if name != "README.md")
    assert [given for given, _ in network.made] == [(str(folder),)]
    asked = len(hub.asked)
    whisper._network.cache_clear()
    assert isinstance(model, WhisperSTT)
    get_stt_model("whisper/base.en")
    assert len(hub.asked) == asked


def test_what_was_begun_is_gone_on_with(hub: type[Hub], network: type[Network], tmp_path: Path) -> None:
    part = tmp_path / "fastrtc" / "whisper-base.en" / "model.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES["model.bin"][:1000])
    WhisperSTT("whisper/base.en")
    assert ("/Systran/faster-whisper-base.en/resolve/" + COMMIT + "/model.bin", "bytes=1000-") in hub.asked


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_another_file_than_the_hub_lists_is_refused(hub: type[Hub], network: type[Network], name: str) -> None:
    hub.spoilt.add(name)
    with pytest.raises(ModelDownloadError, match="is not the file that"):
        WhisperSTT("whisper/base.en")
    assert network.made == []


def test_what_the_hub_does_not_have_is_said(hub: type[Hub], network: type[Network]) -> None:
    with pytest.raises(
        ModelDownloadError, match=r"cannot download the recogniser whisper/small.*Not Found.*copy the files"
    ):
        WhisperSTT("whisper/small")
    with pytest.raises(ModelDownloadError, match="has none of the files"):
        fetched_repository("Systran/faster-whisper-base.en", lambda path: False, "nothing", "nothing")


def test_without_a_network_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, network: type[Network], free_port: int
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    whisper._network.cache_clear()
    with pytest.raises(
        ModelDownloadError, match=r"Without a network, copy the files of https://huggingface.co/Systran"
    ):
        WhisperSTT("whisper/base.en")


def test_what_is_asked_and_given(hub: type[Hub], network: type[Network]) -> None:
    model = WhisperSTT("whisper/base.en")
    audio = (48_000, np.zeros((1, 48_000), np.int16))
    assert model.stt(audio) == "Hello there."
    transcript = model.transcribe(audio, words=True)
    assert transcript.words == (Word("Hello", 0.1, 0.4),)
    assert transcript.confidence == pytest.approx(np.exp(-0.2))
    assert [(asked["size"], asked["language"], asked["word_timestamps"]) for asked in network.asked] == [
        (16_000, "en", False),
        (16_000, "en", True),
    ]
    assert model.stt((16_000, np.zeros(0, np.int16))) == ""


@pytest.mark.parametrize("name", ["whisper/huge", "whisper/", "whisper/base.de"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'whisper/base.en'"):
        get_stt_model(name)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    whisper._network.cache_clear()
    with pytest.raises(MissingExtraError, match=r"fastrtc\[whisper\]"):
        get_stt_model("whisper/tiny")
