from __future__ import annotations

import sys
import wave

import numpy as np
import pytest

from fastrtc.client.record import CallRecord, Message, Sound, read_audio, write_stereo
from fastrtc.errors import AudioFormatError, MissingExtraError


def write_wav(path, samples, rate_hz=16_000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(np.asarray(samples, "<i2").tobytes() if width == 2 else bytes(samples))


def test_wav_needs_no_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    write_wav(tmp_path / "a.wav", [1, -2, 3])
    rate_hz, pcm = read_audio(tmp_path / "a.wav")
    assert (rate_hz, pcm.dtype, pcm.tolist()) == (16_000, np.int16, [1, -2, 3])
    write_wav(tmp_path / "b.wav", [10, 20, -4, -8], channels=2)
    assert read_audio(str(tmp_path / "b.wav"))[1].tolist() == [15, -6]


def test_other_formats_need_soundfile(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    tone = (10_000 * np.sin(np.arange(4_000) / 10)).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", tone, 8_000)
    rate_hz, pcm = read_audio(tmp_path / "a.flac")
    assert rate_hz == 8_000
    assert np.abs(pcm.astype(int) - tone).max() <= 1
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingExtraError, match="files"):
        read_audio(tmp_path / "a.flac")


def test_wav_of_eight_bits_is_read_too(tmp_path):
    pytest.importorskip("soundfile")
    write_wav(tmp_path / "a.wav", [128, 255, 0], width=1)
    assert np.sign(read_audio(tmp_path / "a.wav")[1]).tolist() == [0, 1, -1]


def test_what_cannot_be_read(tmp_path):
    pytest.importorskip("soundfile")
    with pytest.raises(FileNotFoundError, match=r"nothing\.wav"):
        read_audio(tmp_path / "nothing.wav")
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(AudioFormatError, match=r"text\.wav"):
        read_audio(tmp_path / "text.wav")


def test_a_call_is_written_with_both_sides_on_one_clock(tmp_path):
    said = Sound(np.concatenate([np.zeros(8_000), np.full(8_000, 5_000)]).astype(np.int16), 16_000)
    heard = Sound(np.concatenate([np.zeros(60_000), np.full(12_000, 7_000)]).astype(np.int16), 48_000)
    write_stereo(tmp_path / "call.wav", CallRecord(said, heard, (), ()))
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 48_000, 72_000)
        left, right = np.frombuffer(file.readframes(72_000), "<i2").reshape(-1, 2).T
    assert np.abs(left[:23_000]).max() < 600
    assert abs(int(left[36_000]) - 5_000) < 100
    assert not left[48_000:].any()
    assert right.tolist() == heard.pcm.tolist()


def test_messages():
    event = Message(1.0, {"type": "event", "data": {"name": "first_audio", "turn": 1}})
    assert (event.type, event.event, event.fields["turn"]) == ("event", "first_audio", 1)
    error = Message(1.0, {"type": "error", "message": "no"})
    assert (error.type, error.event, error.fields) == ("error", "", {})
    text = Message(1.0, "pong")
    assert (text.type, text.event, text.fields) == ("", "", {})


def test_a_stretch_of_sound():
    sound = Sound(np.arange(100, dtype=np.int16), 100)
    assert sound.duration_s == 1.0
    assert sound.between(0.2, 0.23).tolist() == [20, 21, 22]
    assert sound.between(-1.0, 0.01).tolist() == [0]
