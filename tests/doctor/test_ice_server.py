from __future__ import annotations

import asyncio
import socket

import pytest
from tests.fakes.coturn import coturn, find_coturn

from fastrtc.doctor.finding import Status
from fastrtc.doctor.ice_server import check_ice_servers
from fastrtc.transports.webrtc.engine import IceServer

pytestmark = pytest.mark.timeout(60)


def check(url, username=None, credential=None, timeout_s=5.0):
    server = IceServer(urls=(url,), username=username, credential=credential)
    (finding,) = asyncio.run(check_ice_servers([server], "browser", timeout_s))
    assert finding.facts["url"] == url
    return finding


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    program = find_coturn()
    if program is None:
        pytest.skip("there is no TURN server (Debian's package coturn)")
    with coturn(program, tmp_path_factory.mktemp("coturn")) as running:
        yield running


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_server_that_relays(server, transport, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    finding = check(server.url(transport), server.username, server.password)
    assert (finding.check, finding.status) == ("turn", Status.OK), finding
    assert finding.facts["mapped_address"].startswith("127.0.0.1:")
    assert finding.facts["relayed_address"].startswith("127.0.0.1:")


def test_a_stun_server_tells_the_address(server):
    finding = check(f"stun:127.0.0.1:{server.port}")
    assert (finding.check, finding.status) == ("stun", Status.OK), finding
    assert "relayed_address" not in finding.facts


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_wrong_credentials_are_a_problem_with_advice(server, transport):
    finding = check(server.url(transport), server.username, "wrong")
    assert finding.status is Status.PROBLEM
    assert "401" in finding.summary
    assert "password" in finding.advice


def test_a_certificate_that_nobody_trusts(server):
    finding = check(server.url("tls"), server.username, server.password)
    assert finding.status is Status.PROBLEM
    assert "certificate" in finding.summary
    assert "authority" in finding.advice


def test_servers_that_are_silent_or_absent_or_something_else():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf, socket.socket() as closed:
        deaf.bind(("127.0.0.1", 0))
        closed.bind(("127.0.0.1", 0))
        silent = check(f"stun:127.0.0.1:{deaf.getsockname()[1]}", timeout_s=0.3)
        absent = check(f"turn:127.0.0.1:{closed.getsockname()[1]}?transport=tcp", "u", "p", timeout_s=2)
    assert (silent.status, absent.status) == (Status.PROBLEM, Status.PROBLEM)
    assert "no answer over UDP" in silent.summary
    assert "UDP port" in silent.advice
    assert "refused" in absent.summary.lower()
    assert "TCP port" in absent.advice


def test_a_name_that_cannot_be_one():
    finding = check("stun:a..b")
    assert finding.status is Status.PROBLEM
    assert "a..b is not known" in finding.summary


def test_a_server_that_speaks_another_protocol():
    async def scenario():
        async def talk(reader, writer):
            await reader.read(100)  # closing with unread bytes would reset the connection
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            server = IceServer(urls=(f"turn:127.0.0.1:{port}?transport=tcp",), username="u", credential="p")
            return (await check_ice_servers([server], "browser", 5.0))[0]

    finding = asyncio.run(scenario())
    assert finding.status is Status.PROBLEM
    assert "not STUN" in finding.summary
