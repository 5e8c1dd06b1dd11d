"""Recordings: who is on which side, at what time, whatever the connection does."""

import json
import os
import stat
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.client import inspection
from fastrtc.client.inspection import read_recording
from fastrtc.context import Context
from fastrtc.errors import AudioFormatError, ConfigurationError
from fastrtc.events import FirstAudio, HandlerFailed, PlaybackFinished, SessionClosed, SessionStarted, TurnCommitted
from fastrtc.link import VideoLink
from fastrtc.observe import recorder as module
from fastrtc.observe.lane import SLACK_S, Lane
from fastrtc.observe.recorder import Recorder, RecordingLink, Tape
from fastrtc.observe.wav import WavFile
from fastrtc.transports.memory import MemoryLink

RATE = 16_000
TICK = RATE // 50


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def gmtime(self) -> Any:
        return SimpleNamespace()

    def strftime(self, form: str, _: Any = None) -> str:
        return "20260102-030405" if "-%H" in form else "2026-01-02T03:04:05Z"


class ClearingLink(MemoryLink):
    """One whose client drops what it has not played."""

    def flush(self) -> bool:
        super().flush()
        return True


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(module, "time", clock)
    return clock


def tone(samples: int, level: int = 5000) -> Any:
    return np.full(samples, level, np.int16)


def recorded(folder: Path) -> Any:
    (file,) = folder.glob("*.wav")
    with wave.open(str(file), "rb") as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (2, 2, RATE)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)


def start(folder: Path, link: Any, session_id: str = "a") -> tuple[Any, Tape, Recorder]:
    recorder = Recorder(folder, rate_hz=RATE)
    wrapped = recorder.wrap_link(link, Context(session_id))
    assert isinstance(wrapped, RecordingLink)
    return wrapped, wrapped.tape, recorder


def test_the_user_is_left_and_the_bot_right(tmp_path: Path, time: Time) -> None:
    inner = MemoryLink(RATE, RATE)
    link, tape, _ = start(tmp_path, inner)
    for tick in range(150):
        time.now_s = 100.0 + (tick + 1) / 50
        inner.push(tone(TICK, 1000))
        assert link.read() is not None
        link.write(tone(TICK, 2000) if 50 <= tick < 100 else None)
        if tick % 10 == 0:
            assert tape.write()
    tape.close()
    assert not tape.write()
    sound = recorded(tmp_path)
    assert len(sound) == 150 * TICK
    assert set(sound[:, 0]) == {1000}
    spoken = np.flatnonzero(sound[:, 1] == 2000)
    assert len(spoken) == 50 * TICK
    assert abs(spoken[0] / RATE - 1.02) <= 0.02
    assert len(inner.take()) == 50 * TICK, "the client heard the same"


def test_what_the_client_dropped_is_not_in_the_recording(tmp_path: Path, time: Time) -> None:
    link, tape, _ = start(tmp_path, ClearingLink(RATE, RATE, lead_ms=200))
    time.now_s += 1.0
    for _ in range(10):
        link.write(tone(TICK))
    time.now_s += 0.1
    assert link.flush()
    time.now_s += 1.0
    link.write(tone(TICK, 77))
    tape.close()
    tape.write()
    sound = recorded(tmp_path)[:, 1]
    assert np.count_nonzero(sound == 5000) == pytest.approx(0.1 * RATE, abs=1)
    assert np.flatnonzero(sound == 77)[0] == pytest.approx(2.1 * RATE, abs=1)


def test_a_client_that_sends_nothing_leaves_silence(tmp_path: Path, time: Time) -> None:
    link, tape, _ = start(tmp_path, MemoryLink(RATE, RATE))
    for _ in range(5):
        time.now_s += 1.0
        link.write(tone(TICK))
        tape.write()
    tape.close()
    tape.write()
    sound = recorded(tmp_path)
    assert not sound[:, 0].any()
    assert np.count_nonzero(sound[:, 1]) == 5 * TICK


def test_a_recording_can_be_read_before_it_is_complete(tmp_path: Path, time: Time) -> None:
    inner = MemoryLink(RATE, RATE)
    link, tape, recorder = start(tmp_path, inner)
    recorder.session_event(SimpleNamespace(link=link), SessionStarted())  # type: ignore[arg-type]
    for _ in range(100):
        time.now_s += 0.02
        inner.push(tone(TICK))
        link.read()
    tape.write()
    assert len(recorded(tmp_path)) == pytest.approx((2.0 - module.KEEP_BACK_S) * RATE, abs=2)
    (events,) = tmp_path.glob("*.jsonl")
    assert json.loads(events.read_text().splitlines()[1])["name"] == "session_started"
    tape.close()
    tape.write()


def test_only_the_owner_may_read_it_and_an_id_is_no_path(tmp_path: Path, time: Time) -> None:
    folder = tmp_path / "calls"
    link, tape, _ = start(folder, MemoryLink(RATE, RATE), "../../etc/passwd\x00")
    link.write(tone(TICK))
    time.now_s += 1
    tape.close()
    tape.write()
    (file,) = folder.iterdir()
    assert file.name == "20260102-030405-_etc_passwd_.wav"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    _, again, recorder = start(folder, MemoryLink(RATE, RATE), "../../etc/passwd\x00")
    assert str(again._stem).endswith("-2")
    third: Any = recorder.wrap_link(MemoryLink(RATE, RATE), Context("../../etc/passwd\x00"))
    assert str(third.tape._stem).endswith("-3"), "the second has no files yet"


def test_the_app_chooses_whom_it_records(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, choose=lambda context: context.user == "agreed")
    link = MemoryLink()
    assert recorder.wrap_link(link, Context("a")) is link
    assert recorder.wrap_link(link, Context("a", user="agreed")) is not link


def test_a_disk_that_does_not_keep_up_costs_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 20)
    link, tape, _ = start(tmp_path, MemoryLink(RATE, RATE))
    for _ in range(100):
        link.write(tone(TICK))
    assert not tape._notes
    assert "does not keep up" in caplog.text


def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    link, tape, _ = start(tmp_path, MemoryLink(RATE, RATE))

    def full(_: Path) -> Any:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "_open_private", full)
    link.write(tone(RATE))
    tape.close()
    assert not module._write(tape)
    link.write(tone(TICK))
    assert "No space left" in caplog.text


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file"):
        Recorder(tmp_path / "file" / "calls")


def test_a_link_with_video_stays_one(tmp_path: Path) -> None:
    class Camera(MemoryLink):
        def read_video(self) -> Any:
            return "frame"

        def write_video(self, picture: Any) -> None:
            self.messages.append(picture)

    camera = Camera()
    link, _, _ = start(tmp_path, camera)
    assert isinstance(link, VideoLink)
    link.write_video("picture")  # type: ignore[arg-type]
    assert (link.read_video(), camera.messages) == ("frame", ["picture"])
    assert not isinstance(start(tmp_path, MemoryLink())[0], VideoLink)


def test_the_thread_writes_until_there_is_nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_EVERY_S", 0.005)
    writer = module.Writer()
    monkeypatch.setattr(module, "the_writer", lambda: writer)
    link, tape, recorder = start(tmp_path, MemoryLink(RATE, RATE))
    session: Any = SimpleNamespace(link=link)
    recorder.session_opened(session)
    link.write(tone(RATE))
    recorder.session_event(session, SessionClosed(at_s=1.0, reason="done"))
    recorder.session_closed(session)
    writer.finish(60.0)
    assert np.count_nonzero(recorded(tmp_path)[:, 1]) == RATE
    assert {file.suffix for file in tmp_path.iterdir()} == {".wav", ".jsonl"}
    assert tape.closed


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 2000)), max_size=30), st.sampled_from([8000, 24_000]))
def test_a_lane_loses_no_sample_and_keeps_time(pieces: list[tuple[float, int]], to_hz: int) -> None:
    lane, now_s, total = Lane(RATE, to_hz), 0.0, 0
    for wait_s, samples in pieces:
        now_s += wait_s
        lane.put(now_s, tone(samples))
        total += samples
        assert lane.end_s >= now_s - SLACK_S
        lane.settle(now_s - 1.0)
    end_s = lane.end_s
    lane.settle(end_s, last=True)
    line = lane.take(10**9)
    assert abs(len(line) - end_s * to_hz) <= 2
    assert total / RATE <= end_s + 1e-9


def test_wav_headers_are_right_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    file = WavFile(path.open("w+b"), RATE, 2)
    for count in (0, 10, 300):
        file.append(np.ones((count, 2), np.int16))
        with wave.open(str(path), "rb") as sound:
            assert sound.getnframes() == len(sound.readframes(10**6)) // 4
    file.close()
    assert os.path.getsize(path) == 44 + 310 * 4  # noqa: PTH202 - of the file as the system sees it


def make_recording(folder: Path, time: Time) -> Path:
    inner = MemoryLink(RATE, RATE)
    link, tape, recorder = start(folder, inner)
    session: Any = SimpleNamespace(link=link)
    told = {
        5: SessionStarted(),
        60: TurnCommitted(turn=1, at_s=1.2, start_s=0.0, end_s=1.0, reason="silence"),
        62: FirstAudio(turn=1, at_s=1.24, latency_ms={"total": 240.0}),
        112: PlaybackFinished(turn=1, at_s=2.24, heard_s=1.0),
    }
    for tick in range(150):
        time.now_s = 100.0 + (tick + 1) / 50
        inner.push(tone(TICK, 3000 if tick < 50 else 0))
        link.read()
        if tick in told:
            recorder.session_event(session, told[tick])
        link.write(tone(TICK, 4000) if 62 <= tick < 112 else None)
    tape.close()
    tape.write()
    (events,) = folder.glob("*.jsonl")
    return events


def test_inspect_finds_the_turns_and_draws_them(tmp_path: Path, time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    from fastrtc.cli import main

    events = make_recording(tmp_path, time)
    assert main(["inspect", str(events), "--events"]) == 0
    told = capsys.readouterr()
    assert "session a, 2026-01-02T03:04:05Z, 3.0 s" in told.out
    assert "turn 1: after 2" in told.out
    assert "server:  total 240" in told.out
    assert "turn_committed" in told.out
    assert events.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    head, record = read_recording(events.with_suffix(".wav"))
    assert head["channels"] == ["user", "bot"]
    assert record.said.duration_s == record.heard.duration_s


def test_inspect_reads_texts_and_lines_as_they_may_come(tmp_path: Path, time: Time) -> None:
    link, tape, _ = start(tmp_path, MemoryLink(RATE, RATE))
    link.write(tone(RATE))
    texts = ["a line\u2028another\x85third", "half a pair \udce9"]
    for text in texts:
        tape.event(HandlerFailed(at_s=0.5, message=text))
    time.now_s += 2
    tape.close()
    tape.write()
    (events,) = tmp_path.glob("*.jsonl")
    with events.open("ab") as file:
        file.write(b'{"t_s": 1.0, "na')  # the process was killed here
    _, record = read_recording(events)
    assert [message.fields["message"] for message in record.messages] == texts


def test_a_recording_that_fails_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "WRITE_EVERY_S", 0.005)
    writer = module.Writer()
    monkeypatch.setattr(module, "the_writer", lambda: writer)
    links = {}
    for name in ("broken", "well"):
        links[name], tape, recorder = start(tmp_path / name, MemoryLink(RATE, RATE))
        if name == "broken":
            tape._note("event", {"name": "strange", "value": object()})
        recorder.session_opened(SimpleNamespace(link=links[name]))  # type: ignore[arg-type]
    links["well"].write(tone(RATE))
    writer.finish(60.0)
    assert "a recording stops" in caplog.text
    assert np.count_nonzero(recorded(tmp_path / "well")[:, 1]) == RATE


def test_inspect_says_what_is_wrong(tmp_path: Path, time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    from fastrtc.cli import main

    events = make_recording(tmp_path, time)
    events.write_text("{}\n")
    with pytest.raises(AudioFormatError):
        read_recording(events)
    assert main(["inspect", str(events)]) == 1
    assert "no recording of a session" in capsys.readouterr().err
    events.unlink()
    assert main(["inspect", str(events)]) == 1
    assert "there is no" in capsys.readouterr().err


def test_without_matplotlib_the_words_are_there(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fastrtc.cli import main
    from fastrtc.errors import MissingExtraError

    def cannot(*_: Any) -> None:
        raise MissingExtraError("drawing a timeline", "plot")

    monkeypatch.setattr(inspection, "draw_timeline", cannot)
    events = make_recording(tmp_path, time)
    assert main(["inspect", str(events)]) == 0
    assert main(["inspect", str(events), "--plot", str(tmp_path / "a.png")]) == 1
    assert "fastrtc[plot]" in capsys.readouterr().err
