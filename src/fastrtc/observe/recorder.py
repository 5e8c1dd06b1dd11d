"""Recordings of sessions: a stereo WAV file, user left and bot right, and beside it what happened as JSON lines.

The media clock only notes references of what passes; files are written by one thread of the process.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrtc.audio import PCM
from fastrtc.errors import ConfigurationError
from fastrtc.events import event_as_json
from fastrtc.handlers.supervisor import run_supervised
from fastrtc.link import MediaLink, Picture, VideoFrame, VideoLink
from fastrtc.observe.lane import Lane
from fastrtc.observe.observer import SessionObserver
from fastrtc.observe.wav import WavFile

if TYPE_CHECKING:
    from fastrtc.context import Context
    from fastrtc.events import Event
    from fastrtc.session import Session

logger = logging.getLogger(__name__)

RATE_HZ = 24_000
WRITE_EVERY_S = 0.25
KEEP_BACK_S = 1.0
"""How far the files are behind: what a client has not played yet may still be taken back."""
MAX_WAITING = 30_000
"""Notes (about five minutes of ticks) that may wait for a disk that does not keep up."""
REMEMBERED_NAMES = 1_000
"""Recordings whose files may not be there yet: they are made a moment later, by the writer."""
VERSION = 1

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Tape:
    """What one session leaves. :meth:`heard`, :meth:`said` and :meth:`take_back` are called on the media clock.

    Args:
        stem: Path of the files, without their endings.
        session_id: Of the session.
        rates_hz: Of the user's and of the bot's audio.
        rate_hz: Of the file.
    """

    def __init__(self, stem: Path, session_id: str, rates_hz: tuple[int, int], rate_hz: int) -> None:
        self._stem = stem
        self._session_id = session_id
        self._rate_hz = rate_hz
        self._start_s = time.monotonic()
        self._started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._notes: deque[tuple[str, float, Any]] = deque()
        self._lanes = {"heard": Lane(rates_hz[0], rate_hz), "said": Lane(rates_hz[1], rate_hz)}
        self._wav: WavFile | None = None
        self._events: Any = None
        self._lost = False
        self.closed = False

    def heard(self, pcm: PCM) -> None:
        """The user's audio."""
        self._note("heard", pcm)

    def said(self, pcm: PCM) -> None:
        """The bot's audio."""
        self._note("said", pcm)

    def take_back(self) -> None:
        """The client drops what it has not played."""
        self._note("take_back", None)

    def event(self, event: Event) -> None:
        """Something happened."""
        self._note("event", event_as_json(event))

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True

    def write(self) -> bool:
        """Bring the files up to date; False when they are complete. The writer's thread.

        Raises:
            OSError: They cannot be written.
        """
        is_last = self.closed
        while self._notes:
            kind, at_s, what = self._notes.popleft()
            if kind == "event":
                self._write_event(at_s, what)
            elif kind == "take_back":
                self._lanes["said"].cut(at_s)
            else:
                self._lanes[kind].put(at_s, what)
        self._write_audio(is_last)
        return not is_last

    def abandon(self) -> None:
        """Stop without an error."""
        self.closed = True
        self._lost = True
        self._notes.clear()

    def release(self) -> None:
        """Close the files as they are. The writer's thread."""
        for file in (self._wav, self._events):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()

    def _note(self, kind: str, what: Any) -> None:
        if self._lost:
            return
        if len(self._notes) > MAX_WAITING:
            logger.error("recording %s stops: its disk does not keep up", self._stem.name)
            self.abandon()
            return
        self._notes.append((kind, time.monotonic() - self._start_s, what))

    def _write_event(self, at_s: float, data: dict[str, Any]) -> None:
        if self._events is None:
            self._events = _open_private(self._stem.with_suffix(".jsonl"))
            head = {
                "recording": VERSION,
                "session_id": self._session_id,
                "started_at": self._started_at,
                "rate_hz": self._rate_hz,
                "channels": ["user", "bot"],
            }
            self._write_line(head)
        self._write_line({"t_s": round(at_s, 3), **data})

    def _write_line(self, data: dict[str, Any]) -> None:
        # Texts may have halves of surrogate pairs, from file names say; UTF-8 has none, JSON's escapes have.
        self._events.write(json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def _write_audio(self, is_last: bool) -> None:
        until_s = time.monotonic() - self._start_s - (0.0 if is_last else KEEP_BACK_S)
        lanes = list(self._lanes.values())
        if is_last:
            until_s = max(lane.end_s for lane in lanes)
        for lane in lanes:
            lane.settle(until_s, last=is_last)
        count = min(lane.settled_samples for lane in lanes)
        if count and self._wav is None:
            self._wav = WavFile(_open_private(self._stem.with_suffix(".wav")), self._rate_hz, 2)
        if self._wav is not None:
            if count:
                self._wav.append(np.stack([lane.take(count) for lane in lanes], axis=1))
            if is_last:
                self._wav.close()
        if self._events is not None:
            self._events.flush()
            if is_last:
                self._events.close()


class RecordingLink:
    """A link that notes what passes.

    Args:
        inner: The connection.
        tape: Takes the notes.
    """

    def __init__(self, inner: MediaLink, tape: Tape) -> None:
        self.inner = inner
        self.tape = tape
        self.rate_in_hz = inner.rate_in_hz
        self.rate_out_hz = inner.rate_out_hz
        self.lead_ms = inner.lead_ms

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def read(self) -> PCM | None:
        pcm = self.inner.read()
        if pcm is not None and pcm.size:
            self.tape.heard(pcm)
        return pcm

    def write(self, pcm: PCM | None) -> None:
        self.inner.write(pcm)
        if pcm is not None:
            self.tape.said(pcm)

    def flush(self) -> bool:
        """See :class:`fastrtc.link.MediaLink`."""
        is_taken_back = self.inner.flush()
        if is_taken_back:
            self.tape.take_back()
        return is_taken_back

    def send(self, message: str) -> None:
        self.inner.send(message)

    def playout_delay_ms(self) -> float:
        return self.inner.playout_delay_ms()

    async def close(self) -> None:
        """See :class:`fastrtc.link.MediaLink`."""
        await self.inner.close()


class RecordingVideoLink(RecordingLink):
    """The same where the connection can carry video, which is not recorded."""

    def read_video(self) -> VideoFrame | None:
        frame: VideoFrame | None = self.inner.read_video()  # type: ignore[attr-defined]  # chosen for a VideoLink
        return frame

    def write_video(self, picture: Picture) -> None:
        self.inner.write_video(picture)  # type: ignore[attr-defined]  # chosen for a VideoLink


class Recorder(SessionObserver):
    """Records sessions: ``Stream(handler, observers=[Recorder("calls")])``.

    ``20261122-141500-abc.wav`` has the user on the left and the bot on the right, ``20261122-141500-abc.jsonl`` the
    events; ``fastrtc inspect`` draws them. The files can be read by their owner only. What clients say is personal:
    tell them, and delete it when its time has come.

    Args:
        folder: Where to; made if it is missing.
        rate_hz: Of the files.
        choose: Says which sessions are recorded; None: all.

    Raises:
        ConfigurationError: The folder cannot be used.
    """

    def __init__(
        self, folder: str | Path, *, rate_hz: int = RATE_HZ, choose: Callable[[Context], bool] | None = None
    ) -> None:
        self._folder = Path(folder)
        self._rate_hz = rate_hz
        self._choose = choose
        self._given: deque[str] = deque(maxlen=REMEMBERED_NAMES)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"recordings cannot go to {folder}: {error.strerror or error}") from error
        if not os.access(self._folder, os.W_OK):
            raise ConfigurationError(f"recordings cannot go to {folder}: it may not be written")

    def wrap_link(self, link: MediaLink, context: Context) -> MediaLink:
        if self._choose is not None and not self._choose(context):
            return link
        tape = Tape(
            self._free_stem(context.webrtc_id), context.webrtc_id, (link.rate_in_hz, link.rate_out_hz), self._rate_hz
        )
        return RecordingVideoLink(link, tape) if isinstance(link, VideoLink) else RecordingLink(link, tape)

    def session_opened(self, session: Session) -> None:
        tape = _tape_of(session)
        if tape is not None:
            the_writer().add(tape)

    def session_event(self, session: Session, event: Event) -> None:
        tape = _tape_of(session)
        if tape is not None:
            tape.event(event)

    def session_closed(self, session: Session) -> None:
        tape = _tape_of(session)
        if tape is not None:
            tape.close()

    def _free_stem(self, session_id: str) -> Path:
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{_UNSAFE.sub('_', session_id)[:40]}"
        stem, number = self._folder / name, 1
        while stem.name in self._given or stem.with_suffix(".jsonl").exists() or stem.with_suffix(".wav").exists():
            number += 1
            stem = self._folder / f"{name}-{number}"
        self._given.append(stem.name)
        return stem


class Writer:
    """The thread that writes all recordings of the process; it runs while there are any."""

    def __init__(self) -> None:
        self._tapes: list[Tape] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        atexit.register(self.finish)

    def add(self, tape: Tape) -> None:
        """Write this one, too."""
        with self._lock:
            self._tapes.append(tape)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fastrtc-recorder", daemon=True)
                self._thread.start()

    def finish(self, timeout_s: float = 5.0) -> None:
        """Write what there is; at the end of the process."""
        for tape in list(self._tapes):
            tape.close()
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            time.sleep(WRITE_EVERY_S)
            done = [tape for tape in list(self._tapes) if not _write(tape)]
            with self._lock:
                self._tapes = [tape for tape in self._tapes if tape not in done]
                if not self._tapes:
                    self._thread = None
                    return


@lru_cache(maxsize=1)
def the_writer() -> Writer:
    """The process's."""
    return Writer()


def _write(tape: Tape) -> bool:
    goes_on: list[bool] = []

    def stop(error: BaseException) -> None:
        logger.error("a recording stops: %s", error, exc_info=None if isinstance(error, OSError) else error)
        tape.abandon()
        tape.release()

    # Whatever it is, the other recordings go on.
    return run_supervised(lambda: goes_on.append(tape.write()), stop) and goes_on[0]


def _tape_of(session: Session) -> Tape | None:
    link: Any = session.link
    while link is not None and not isinstance(link, RecordingLink):
        link = getattr(link, "inner", None)
    return None if link is None else link.tape


def _open_private(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
