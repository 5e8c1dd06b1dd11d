"""Downloads the weights of models that no package carries: said before it begins, resumed, and checked."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import IncompleteRead
from pathlib import Path
from typing import IO, TypeAlias
from urllib.parse import urlsplit

from fastrtc.errors import FastRTCError

Progress: TypeAlias = Callable[[int, int], None]

ATTEMPTS = 4
BLOCK_BYTES = 1 << 16
TIMEOUT_S = 30.0
MEGABYTE = 1_000_000


class ModelDownloadError(FastRTCError, OSError):
    """A model's file could not be had; the message says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights.

    Attributes:
        name: Its path below :func:`cache_folder`, with ``/``.
        url: Where it comes from.
        size_bytes: Its size; None: as the server says.
        sha256: Its checksum, in hexadecimal digits.
        folder: Where to keep it instead of :func:`cache_folder`.
        remedy: What to do where it cannot be downloaded, as the messages say it; by default, to put it there by hand.
    """

    name: str
    url: str
    size_bytes: int | None
    sha256: str
    folder: Path | None = None
    remedy: str = ""

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return (self.folder or cache_folder()).joinpath(*self.name.split("/"))

    def is_here(self) -> bool:
        """Whether it is there: in its full length (its checksum was compared before it got its name), or with its
        checksum where its size is not known.
        """
        if self.size_bytes is not None:
            return self.path.is_file() and self.path.stat().st_size == self.size_bytes
        return self.path.is_file() and _checksum_of(self.path) == self.sha256


def cache_folder() -> Path:
    """Where downloads are kept: ``fastrtc`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fastrtc"


def fetched(weights: Weights, what: str, progress: Progress | None = None) -> Path:
    """The file, downloaded if it is not here. What an earlier attempt has fetched is not fetched again.

    Args:
        weights: The file.
        what: What it is for, as the messages name it.
        progress: Called with the bytes so far and the bytes expected (0: unknown); by default it is shown on standard
            error.

    Raises:
        ModelDownloadError: No network, the server's refusal, no room, or another file than expected.
    """
    if weights.is_here():
        return weights.path
    remedy = weights.remedy or f"get it where there is a network and put it at {weights.path}"
    size = "" if weights.size_bytes is None else f", {weights.size_bytes / MEGABYTE:.0f} MB"
    try:
        weights.path.parent.mkdir(parents=True, exist_ok=True)
        with _part(weights.path) as part:
            if weights.is_here():  # Another process was faster.
                return weights.path
            found = _download(weights, part, progress or _Shown(weights, what))
            if found != weights.sha256:
                part.unlink()
                raise ModelDownloadError(
                    f"{weights.url} is not the file that was expected for {what} (SHA-256 {found}, not "
                    f"{weights.sha256}): {remedy}"
                )
            part.replace(weights.path)
    except ModelDownloadError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelDownloadError(
            f"cannot download {what}: {weights.url} answers {error.code} {error.reason}; {remedy}"
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise ModelDownloadError(
            f"cannot download {what}{size} from {weights.url} ({reason}). Without a network, {remedy}"
        ) from error
    return weights.path


def _download(weights: Weights, part: Path, progress: Progress) -> str:
    """Fetch what is missing of the part; the checksum of all of it."""
    failures = 0
    while True:
        try:
            return _fetch(weights, part, progress)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not part.stat().st_size:
                raise
            error.close()
            os.truncate(part, 0)  # What is here is no part of what is there.
        except (ConnectionError, TimeoutError, IncompleteRead):
            failures += 1
            if failures == ATTEMPTS:
                raise


def _fetch(weights: Weights, part: Path, progress: Progress) -> str:
    with part.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256")
        done = file.seek(0, os.SEEK_END)
        if weights.size_bytes is not None and done >= weights.size_bytes:
            return digest.hexdigest()
        request = urllib.request.Request(weights.url, headers={"User-Agent": "fastrtc"})
        if done:
            request.add_header("Range", f"bytes={done}-")
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            if answer.status != HTTPStatus.PARTIAL_CONTENT:
                file.truncate(0)
                digest, done = hashlib.sha256(), file.seek(0)
            total = weights.size_bytes or (done + int(answer.headers.get("Content-Length") or -done))
            progress(done, total)
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                digest.update(block)
                done += len(block)
                progress(done, total)
    if done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")
    return digest.hexdigest()


def _checksum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """The file for what is here of another one, kept from other processes, and gone afterwards if nothing is in it."""
    part = path.with_name(path.name + ".part")
    while True:
        with part.open("ab") as file:
            _lock(file)
            if not part.exists() or not os.path.samestat(os.fstat(file.fileno()), part.stat()):
                continue  # Whoever had it is done with it.
            try:
                yield part
            finally:
                if part.exists() and not part.stat().st_size:
                    part.unlink()
            return


def _lock(file: IO[bytes]) -> None:
    """Keep other processes from a file; where the system has no such locks, hope for the best."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX)


class _Shown:
    """Says on standard error what is downloaded, from where, and how far it is: a line that moves, or every tenth."""

    def __init__(self, weights: Weights, what: str) -> None:
        self._name = weights.path.name
        self._moves = sys.stderr.isatty()
        self._began_s = time.monotonic()
        self._began_at: int | None = None
        self._shown = -1
        host = urlsplit(weights.url).netloc
        size = "" if weights.size_bytes is None else f" {weights.size_bytes / MEGABYTE:.0f} MB,"
        self._say(
            f"fastrtc: downloading {self._name},{size} from {host} for {what}; it is kept in {weights.path.parent}\n"
        )

    def __call__(self, done: int, total: int) -> None:
        if self._began_at is None:
            self._began_at = done
        if not total:
            return
        step = done * (100 if self._moves else 10) // total
        if step == self._shown:
            return
        self._shown = step
        speed = (done - self._began_at) / MEGABYTE / max(time.monotonic() - self._began_s, 1e-3)
        line = f"{self._name}: {done * 100 // total} % of {total / MEGABYTE:.0f} MB, {speed:.1f} MB/s"
        self._say(f"\r{line:<70}" + ("\n" if done >= total else "") if self._moves else f"fastrtc: {line}\n")

    def _say(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
