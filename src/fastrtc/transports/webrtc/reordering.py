"""Puts the audio packets of ``aiortc`` in order, with a delay that stays what it is. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

WAIT_PACKETS = 3
"""By how many packets another one may be overtaken: 60 ms."""

RESTART_PACKETS = 100
"""A packet that is older than that begins another count: the sender has started anew."""

_NUMBERS = 1 << 16


class ReorderBuffer:
    """Takes the place of aiortc's ``JitterBuffer`` for audio, which keeps 0.2 s of delay for good after its first loss.

    A packet leaves when ``WAIT_PACKETS`` later ones are there; one that is missing then is passed over. Only one packet
    leaves for each that comes, as aiortc's receiver wants it: a loss makes the queue longer by one until its gap is
    passed over, and then it is as short as before.

    Args:
        make_frame: Makes what the decoder wants of a packet's data and its timestamp.
    """

    def __init__(self, make_frame: Callable[[bytes, int], Any]) -> None:
        self._make_frame = make_frame
        self._waiting: dict[int, Any] = {}
        self._next: int | None = None
        self._newest = 0

    def add(self, packet: Any) -> tuple[bool, Any]:
        """Take a packet.

        Args:
            packet: An ``RtpPacket`` whose ``_data`` is one encoded frame.

        Returns:
            False (no key frame is wanted, this is audio), and the frame to decode now, or None.
        """
        number: int = packet.sequence_number
        if self._next is None or _age(number, self._next) >= RESTART_PACKETS:
            self._waiting.clear()
            self._next = self._newest = number
        elif _age(number, self._next) > 0:
            return False, None
        self._waiting[number] = packet
        if _age(number, self._newest) < 0:
            self._newest = number
        return False, self._release()

    def _release(self) -> Any:
        assert self._next is not None
        while (self._newest - self._next) % _NUMBERS >= WAIT_PACKETS:
            packet = self._waiting.pop(self._next, None)
            self._next = (self._next + 1) % _NUMBERS
            if packet is not None:
                return self._make_frame(packet._data, packet.timestamp)
        return None


def _age(number: int, than: int) -> int:
    """By how much a sequence number is older than another one; negative: newer (RFC 1982's arithmetic)."""
    return (than - number + _NUMBERS // 2) % _NUMBERS - _NUMBERS // 2
