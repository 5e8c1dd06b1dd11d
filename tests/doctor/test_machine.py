from __future__ import annotations

import asyncio
import socket

import pytest

from fastrtc.doctor import machine
from fastrtc.doctor.finding import Status
from fastrtc.transports.webrtc.configuration import NetworkOptions
from fastrtc.transports.webrtc.engine import IceServer


@pytest.mark.parametrize("engine", ["wrtc", "aiortc"])
def test_an_engine_calls_itself(engine):
    pytest.importorskip(engine)
    (finding,) = asyncio.run(machine.check_engine(engine))
    assert finding.status is Status.OK, finding
    assert finding.facts["engine"] == engine


def test_an_engine_that_is_none():
    (finding,) = asyncio.run(machine.check_engine("soft"))
    assert finding.status is Status.PROBLEM
    assert "WebSocket" in finding.advice


def test_the_packages_and_the_detector():
    version, extras, detector = machine.check_packages()
    assert version.facts["fastrtc"]
    assert {"gradio", "aiortc"} <= {*extras.facts["installed"], *extras.facts["missing"]}
    assert "dev" not in extras.facts["installed"]
    assert detector.status is Status.OK


def test_a_tcp_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = machine.check_tcp_port("127.0.0.1", port)
    assert finding.status is Status.WARNING
    assert "another port" in finding.advice
    assert machine.check_tcp_port("127.0.0.1", 0).status is Status.OK
    assert machine.check_tcp_port("no.such.host.invalid", 80).status is Status.WARNING
    assert machine.check_tcp_port("a..b", 80).status is Status.PROBLEM


def test_a_range_of_udp_ports_wants_room_for_every_session(monkeypatch):
    monkeypatch.setattr(machine, "local_addresses", lambda: ["192.0.2.2", "fd00::2"])
    monkeypatch.setattr(machine, "_is_free", lambda port: port != 50_003)
    assert machine.check_udp_ports((50_000, 50_010), 5, "wrtc").status is Status.OK
    narrow = machine.check_udp_ports((50_000, 50_009), 5, "wrtc")
    assert narrow.status is Status.PROBLEM
    assert "10" in narrow.advice
    assert machine.check_udp_ports((50_000, 50_010), 5, "aiortc").status is Status.PROBLEM


def test_a_port_that_is_bound_is_not_free():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        assert not machine._is_free(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("found", "servers", "hosted", "status"),
    [
        (["192.0.2.2 (host)"], (), False, Status.NOTE),
        (["10.1.2.3 (host)"], (), True, Status.WARNING),
        (["10.1.2.3 (host)"], (IceServer(urls=("stun:a",)),), True, Status.OK),
        (["10.1.2.3 (host)", "93.184.216.34 (host)"], (), True, Status.OK),
    ],
)
def test_whether_an_address_can_be_reached_from_outside(found, servers, hosted, status, monkeypatch):
    async def gather(_engine):
        return found

    monkeypatch.setattr(machine, "_gather", gather)
    monkeypatch.setattr(machine, "_is_hosted", lambda: hosted)
    finding = asyncio.run(machine.check_addresses(NetworkOptions(ice_servers=servers), "wrtc"))
    assert finding.status is status
    assert finding.facts["candidates"] == found


def test_the_microphone():
    assert machine.check_microphone("localhost").status is Status.OK
    assert machine.check_microphone("0.0.0.0").status is Status.WARNING
