"""Packets of microphone audio: nothing is lost, quiet is cheap, speech and the pause after it are prompt."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.audio import PCM
from fastrtc.client.packetizer import HANGOVER_TICKS, TICKS_PER_QUIET_PACKET, Packetizer

TICK = 160


def noise(ticks: int, amplitude: float, seed: int = 0) -> list[PCM]:
    samples = amplitude * np.random.default_rng(seed).standard_normal((ticks, TICK))
    return list(samples.astype(np.int16))


def sizes(packetizer: Packetizer, ticks: list[PCM]) -> list[int]:
    """The length of the packet after each tick, in ticks."""
    return [0 if (packet := packetizer.push(tick)) is None else packet.size // TICK for tick in ticks]


@given(amplitudes=st.lists(st.sampled_from([0, 1, 30, 300, 3000]), min_size=1, max_size=400))
def test_packets_are_the_ticks_in_order(amplitudes: list[int]) -> None:
    packetizer = Packetizer()
    ticks = [noise(1, amplitude, seed)[0] for seed, amplitude in enumerate(amplitudes)]
    packets = [packet for tick in ticks if (packet := packetizer.push(tick)) is not None]
    sent = np.concatenate([*packets, np.zeros(0, np.int16)])
    np.testing.assert_array_equal(sent, np.concatenate(ticks)[: sent.size])
    assert len(ticks) * TICK - sent.size < TICKS_PER_QUIET_PACKET * TICK


def test_a_quiet_room_sends_five_packets_a_second() -> None:
    packetizer = Packetizer()
    sizes(packetizer, noise(HANGOVER_TICKS + 9, 30))
    assert set(sizes(packetizer, noise(500, 30, seed=1))) == {0, TICKS_PER_QUIET_PACKET}


def test_a_sound_goes_out_at_once_with_what_waited() -> None:
    packetizer = Packetizer()
    sizes(packetizer, noise(HANGOVER_TICKS + 9, 30))
    assert sizes(packetizer, noise(4, 30, seed=1)) == [0, 0, 0, 0]
    assert sizes(packetizer, noise(3, 300, seed=2)) == [5, 1, 1]


def test_the_pause_after_speech_is_sent_tick_by_tick() -> None:
    packetizer = Packetizer()
    sizes(packetizer, noise(HANGOVER_TICKS + 9, 30))
    sizes(packetizer, noise(25, 2000, seed=1))
    assert sizes(packetizer, noise(HANGOVER_TICKS - 1, 30, seed=2)) == [1] * (HANGOVER_TICKS - 1)


def test_a_fan_becomes_background() -> None:
    packetizer = Packetizer()
    sizes(packetizer, noise(HANGOVER_TICKS + 9, 30))
    assert sizes(packetizer, noise(1, 1000, seed=1)) == [1]
    sizes(packetizer, noise(600, 1000, seed=2))
    assert set(sizes(packetizer, noise(100, 1000, seed=3))) == {0, TICKS_PER_QUIET_PACKET}
