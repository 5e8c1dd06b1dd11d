from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from fastrtc.transports.webrtc.reordering import RESTART_PACKETS, WAIT_PACKETS, ReorderBuffer


@dataclass
class Packet:
    sequence_number: int
    timestamp: int
    _data: bytes


def send(numbers, first=0):
    """What leaves the buffer for each packet, by its number."""
    buffer = ReorderBuffer(lambda data, _timestamp: int(data))
    left = []
    for number in numbers:
        pli, frame = buffer.add(Packet((first + number) % 65_536, 960 * number, str(number).encode()))
        assert pli is False
        left.append(frame)
    return left


def test_packets_leave_in_order_after_a_constant_wait():
    assert send(range(6)) == [None] * WAIT_PACKETS + [0, 1, 2]
    assert send(range(200), first=65_500)[-1] == 199 - WAIT_PACKETS


def test_a_packet_that_is_overtaken_is_put_in_its_place():
    assert send([0, 1, 3, 2, 4, 5, 6, 7]) == [None, None, 0, None, 1, 2, 3, 4]


def test_after_a_loss_and_an_outage_the_wait_is_as_before():
    for lost in (range(10, 11), range(10, 15), range(10, 160)):
        numbers = [number for number in range(260) if number not in lost]
        left = send(numbers)
        assert [frame for frame in left if frame is not None] == numbers[:-WAIT_PACKETS]
        assert left[-1] == 259 - WAIT_PACKETS


def test_what_comes_too_late_or_twice_is_passed_over():
    left = send([0, 1, 2, 4, 5, 6, 7, 8, 3, 8, 9])
    assert [frame for frame in left if frame is not None] == [0, 1, 2, 4, 5, 6]


def test_a_sender_that_starts_anew_is_followed():
    numbers = [1_000, 1_001, 1_002, 1_003, 1_000 - RESTART_PACKETS - 1]
    numbers += [numbers[-1] + step for step in range(1, 5)]
    assert send(numbers)[-1] == numbers[-1] - WAIT_PACKETS


@given(st.lists(st.integers(0, 65_535), max_size=60), st.integers(0, 65_535))
def test_whatever_the_numbers_each_packet_lets_out_at_most_one_that_was_sent(numbers, first):
    left = send(numbers, first)
    assert len(left) == len(numbers)
    assert {frame for frame in left if frame is not None} <= set(numbers)


@given(st.permutations(range(WAIT_PACKETS)), st.integers(0, 65_535))
def test_no_packet_of_a_shuffled_few_is_lost(order, first):
    numbers = [0, *(1 + number for number in order), *range(WAIT_PACKETS + 1, 12)]
    assert [frame for frame in send(numbers, first) if frame is not None] == list(range(12 - WAIT_PACKETS))
