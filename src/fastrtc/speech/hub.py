"""Downloads a model's files from the Hugging Face Hub: checked by the Hub's own checksums, resumed, kept."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from fastrtc.speech.download import MEGABYTE, TIMEOUT_S, ModelDownloadError, Weights, cache_folder, fetched

HUB = "https://huggingface.co"
COMPLETE = "complete.json"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository.

    Attributes:
        path: In the repository.
        size_bytes: Its size.
        sha256: Its checksum, where the Hub keeps it as a large file; else None, and ...
        git_sha1: ... the checksum that Git knows it by.
    """

    path: str
    size_bytes: int
    sha256: str | None
    git_sha1: str


def fetched_repository(repository: str, wanted: Callable[[str], bool], name: str, what: str) -> Path:
    """The folder with a repository's files, which are downloaded if they are not all here.

    ``HF_ENDPOINT`` names another server that speaks the same protocol. Nothing is asked of the network once all files
    are here.

    Args:
        repository: ``owner/name``.
        wanted: Which of its files.
        name: Of the folder below :func:`fastrtc.speech.download.cache_folder`.
        what: What they are for, as the messages name it.

    Raises:
        ModelDownloadError: No network, the server's refusal, no room, or another file than expected.
    """
    folder = cache_folder() / name
    if (folder / COMPLETE).is_file():
        return folder
    hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    remedy = (
        f"Without a network, copy the files of {HUB}/{repository} to {folder} from a machine that has one, with a file "
        f"{COMPLETE} beside them"
    )
    commit, files = _listing(hub, repository, wanted, what, remedy)
    for file in files:
        url = f"{hub}/{repository}/resolve/{commit}/{urllib.parse.quote(file.path)}"
        if file.sha256 is not None:
            fetched(Weights(f"{name}/{file.path}", url, file.size_bytes, file.sha256), what)
            continue
        data = _get(url, what, remedy)
        if hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() != file.git_sha1:
            raise ModelDownloadError(f"{url} is not the file that the Hub lists for {what}. {remedy}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(data)
    (folder / COMPLETE).write_text(json.dumps({"repository": repository, "commit": commit}))
    return folder


def _listing(
    hub: str, repository: str, wanted: Callable[[str], bool], what: str, remedy: str
) -> tuple[str, list[HubFile]]:
    try:
        commit = json.loads(_get(f"{hub}/api/models/{repository}/revision/main", what, remedy))["sha"]
        entries: list[dict[str, Any]] = json.loads(_get(f"{hub}/api/models/{repository}/tree/{commit}", what, remedy))
        files = [
            HubFile(entry["path"], entry["size"], entry["lfs"]["oid"] if "lfs" in entry else None, entry["oid"])
            for entry in entries
            if entry["type"] == "file" and wanted(entry["path"])
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelDownloadError(f"{hub} does not list the files of {repository} as the Hub does. {remedy}") from error
    if not files:
        raise ModelDownloadError(f"{hub}/{repository} has none of the files that {what} needs. {remedy}")
    return commit, files


def _get(url: str, what: str, remedy: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "fastrtc"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            data: bytes = answer.read(64 * MEGABYTE)
            return data
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ModelDownloadError(f"cannot download {what} from {url} ({reason}). {remedy}") from error
