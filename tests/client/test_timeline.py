from __future__ import annotations

import sys

import numpy as np
import pytest

from fastrtc.client.record import CallRecord, Message, Sound
from fastrtc.client.timeline import draw_timeline
from fastrtc.errors import MissingExtraError


def record(seconds=6.0):
    pcm = np.zeros(round(seconds * 16_000), np.int16)
    said, heard = pcm.copy(), pcm.copy()
    tone = (6_000 * np.sin(np.arange(len(pcm)) / 5)).astype(np.int16)
    said[16_000:32_000] = tone[16_000:32_000]
    heard[40_000:70_000] = tone[40_000:70_000]
    names = [("user_started_speaking", 1.1), ("turn_committed", 2.3), ("first_audio", 2.3), ("playback_finished", 5.9)]
    messages = tuple(Message(at_s, {"type": "event", "data": {"name": name, "turn": 1}}) for name, at_s in names)
    return CallRecord(Sound(said, 16_000), Sound(heard, 16_000), (), (*messages, Message(1.0, {"type": "log"})))


def draw(path, call):
    image = pytest.importorskip("matplotlib.image")
    draw_timeline(path, call, "clip.wav to http://127.0.0.1:7860 over WebRTC")
    return image.imread(path)[:, :, :3]


def near(picture, colour):
    wanted = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return (np.abs(picture - wanted).max(axis=2) < 0.02).sum()


def test_the_picture_shows_both_sides_the_events_and_the_wait(tmp_path):
    picture = draw(tmp_path / "turns.png", record())
    height, width, _ = picture.shape
    assert (width, height) >= (1_500, 600)
    user, reply, wait = near(picture, "#2563eb"), near(picture, "#0d9488"), near(picture, "#d97706")
    assert user > 10_000
    assert reply > 10_000
    assert wait > 300


def test_nothing_reaches_the_edges(tmp_path):
    picture = draw(tmp_path / "turns.png", record())
    for edge in (picture[:4], picture[-4:], picture[:, :4], picture[:, -4:]):
        assert edge.min() == 1.0


def test_a_call_in_which_nothing_happened(tmp_path):
    empty = Sound(np.zeros(0, np.int16), 48_000)
    assert draw(tmp_path / "turns.png", CallRecord(empty, empty, (), ())).size > 0


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match="plot"):
        draw_timeline(tmp_path / "turns.png", record(), "a call")
