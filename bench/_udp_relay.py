"""A bad network between two WebRTC peers: a UDP relay in user space that loses, delays and reorders packets.

Both descriptions are rewritten so that each side knows the other by an address of the relay. ICE, DTLS, RTP and RTCP
all pass through it, both ways, and both ways are impaired alike. It needs neither root nor kernel modules.
"""

from __future__ import annotations

import heapq
import random
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

MAX_PACKET = 2_048
_CANDIDATE = re.compile(r"^a=candidate:(\S+) 1 udp (\d+) (\S+) (\d+) typ host.*$", re.IGNORECASE)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What happens to packets, in each direction by itself.

    Attributes:
        loss: Share of packets that are lost.
        burst: Mean length of a loss in packets; 1: each packet by itself (else Gilbert's model with two states).
        jitter_ms: Standard deviation of an extra delay, folded to be positive; order is kept.
        reorder: Share of packets that are overtaken by those of the next 50 ms.
        stall_every_s: How often everything waits for 0.2 s and then comes at once; 0: never.
        is_out: Nothing passes.
    """

    loss: float = 0.0
    burst: float = 1.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    stall_every_s: float = 0.0
    is_out: bool = False


CLEAN = Impairment()
REORDER_DELAY_S = 0.05
STALL_S = 0.2


class Path:
    """One direction: decides the fate of each packet. Pure, so it can be tested without a network.

    Args:
        seed: Of its random numbers.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._is_losing = False
        self._last_due_s = 0.0
        self.impairment = CLEAN
        self.passed = 0
        self.lost = 0

    def due_s(self, now_s: float) -> float | None:
        """When a packet that comes now leaves the relay; None: it is lost."""
        given = self.impairment
        if given.is_out or self._is_lost(given):
            self.lost += 1
            return None
        self.passed += 1
        if given.reorder and self._random.random() < given.reorder:
            return now_s + REORDER_DELAY_S
        if given.stall_every_s and now_s % given.stall_every_s < STALL_S:
            return now_s + STALL_S - now_s % given.stall_every_s
        due_s = now_s + abs(self._random.gauss(0.0, given.jitter_ms / 1000)) if given.jitter_ms else now_s
        self._last_due_s = max(due_s, self._last_due_s)
        return self._last_due_s

    def _is_lost(self, given: Impairment) -> bool:
        if given.burst <= 1.0:
            return self._random.random() < given.loss
        leave = 1.0 / given.burst
        enter = given.loss * leave / (1.0 - given.loss)
        self._is_losing = self._random.random() < (1.0 - leave if self._is_losing else enter)
        return self._is_losing


class Relay(threading.Thread):
    """The network of one call.

    Args:
        seed: Of its random numbers.
        address: Where it listens: the address that the peers gather.
    """

    def __init__(self, seed: int = 0, address: str | None = None) -> None:
        super().__init__(name="udp-relay", daemon=True)
        self._address = address or local_address()
        self.up, self.down = Path(2 * seed), Path(2 * seed + 1)
        self._selector = selectors.DefaultSelector()
        self._waiting: list[tuple[float, int, socket.socket, bytes, Address]] = []
        self._count = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._client: Address | None = None
        self._server: Address | None = None
        self._to_client = self._open("client")
        self._to_server = self._open("server")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def impair(self, impairment: Impairment) -> None:
        """Treat packets so from now on, both ways."""
        self.up.impairment = self.down.impairment = impairment

    def change_address(self) -> None:
        """Give the client another address towards the server, as a NAT does that has forgotten it."""
        fresh = self._open("server")
        with self._lock:
            old, self._to_server = self._to_server, fresh
            self._selector.unregister(old)
            old.close()

    def offer(self, sdp: str) -> str:
        """The client's offer as the server is to see it."""
        self._client, changed = _through(sdp, self._to_server.getsockname())
        return changed

    def answer(self, sdp: str) -> str:
        """The server's answer as the client is to see it."""
        self._server, changed = _through(sdp, self._to_client.getsockname())
        return changed

    def run(self) -> None:
        """Carry packets until the end of the ``with`` block."""
        while not self._ended.is_set():
            wait_s = 0.05
            if self._waiting:
                wait_s = min(wait_s, max(0.0, self._waiting[0][0] - time.monotonic()))
            for key, _ in self._selector.select(wait_s):
                self._take(key.fileobj, key.data)  # type: ignore[arg-type]
            self._deliver()

    def _open(self, side: str) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((self._address, 0))
        made.setblocking(False)
        self._selector.register(made, selectors.EVENT_READ, side)
        return made

    def _take(self, source: socket.socket, side: str) -> None:
        while True:
            try:
                data, _ = source.recvfrom(MAX_PACKET)
            except OSError:  # nothing more, or closed meanwhile
                return
            path = self.up if side == "client" else self.down
            target = self._server if side == "client" else self._client
            due_s = path.due_s(time.monotonic())
            if due_s is not None and target is not None:
                with self._lock:
                    outgoing = self._to_server if side == "client" else self._to_client
                self._count += 1
                heapq.heappush(self._waiting, (due_s, self._count, outgoing, data, target))

    def _deliver(self) -> None:
        now_s = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now_s:
            _, _, outgoing, data, target = heapq.heappop(self._waiting)
            with suppress(OSError):
                outgoing.sendto(data, target)


@contextmanager
def impaired(relay: Relay, impairment: Impairment) -> Iterator[None]:
    """Impair a network for as long as the context lasts."""
    relay.impair(impairment)
    try:
        yield
    finally:
        relay.impair(CLEAN)


def local_address() -> str:
    """The IPv4 address from which peers of this machine send; 127.0.0.1 where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # chooses a route, sends nothing
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _through(sdp: str, relay: Address) -> tuple[Address, str]:
    """The first IPv4 host candidate, and the description with the relay's address in its place and no other."""
    own: Address | None = None
    lines = []
    for line in sdp.splitlines():
        if not line.startswith(("a=candidate:", "a=end-of-candidates")):
            lines.append(line)
            continue
        found = _CANDIDATE.match(line)
        if found and ":" not in found[3]:
            own = own or (found[3], int(found[4]))
            if own == (found[3], int(found[4])):
                lines.append(f"a=candidate:{found[1]} 1 udp {found[2]} {relay[0]} {relay[1]} typ host")
    if own is None:
        raise ValueError("the description has no IPv4 candidate")
    return own, "\r\n".join(lines) + "\r\n"
