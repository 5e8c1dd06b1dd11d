"""The doctor in front of services that are well, and of such that are not."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from tests.client.test_network import echo
from tests.fakes.certificate import write_certificate
from tests.fakes.serving import serving

from fastrtc.doctor.finding import Status
from fastrtc.doctor.site import check_site

pytest.importorskip("wrtc", reason="wrtc is not installed")
pytestmark = pytest.mark.timeout(60)


def visit(url, timeout_s=5.0):
    found = asyncio.run(check_site(url, None, (), timeout_s))
    return {finding.check: finding for finding in found}


def test_a_service_that_is_well():
    app = Starlette()
    echo().mount(app)
    with serving(app) as served:
        found = visit(served.url)
    assert {finding.status for finding in found.values()} == {Status.OK}, found
    assert {"microphone", "http", "webrtc", "websocket"} == set(found)
    assert found["webrtc"].facts["ms"] > 0


def test_a_service_without_websockets_and_webrtc():
    async def refuse(_request):
        return JSONResponse({"status": "failed", "meta": {"error": "engine_unavailable", "detail": "none"}})

    app = Starlette(routes=[Route("/webrtc/offer", refuse, methods=["POST"])])
    with serving(app) as served:
        found = visit(served.url)
    assert found["webrtc"].status is Status.PROBLEM
    assert "engine_unavailable" in found["webrtc"].summary
    assert "pip install" in found["webrtc"].advice
    assert found["websocket"].status is Status.PROBLEM
    assert "Upgrade" in found["websocket"].advice


def test_headers_that_forbid_the_microphone_and_the_connection():
    headers = {
        "Permissions-Policy": "camera=(self), microphone=()",
        "Content-Security-Policy": "default-src 'self'; connect-src https://api.example.org",
    }
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello", headers=headers))])
    with serving(app) as served:
        found = asyncio.run(check_site(served.url, None, (), 5.0))
    policies = [finding.summary for finding in found if finding.check == "policy"]
    assert len(policies) == 2
    assert any("microphone" in summary for summary in policies)
    assert any("connect-src" in summary for summary in policies)


def test_somebody_is_there_who_speaks_no_http():
    def answer():
        connection, _ = listener.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=answer)
        answering.start()
        found = visit(f"http://127.0.0.1:{listener.getsockname()[1]}")
        answering.join()
    assert found["http"].status is Status.PROBLEM


def test_nobody_is_there():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = visit(f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert found["http"].status is Status.PROBLEM
    assert "webrtc" not in found


def test_http_from_elsewhere_and_a_certificate_that_nobody_trusts(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.2", 0))
        found = visit(f"http://127.0.0.2:{closed.getsockname()[1]}")
    assert found["microphone"].status is Status.PROBLEM
    assert "https" in found["microphone"].advice
    certificate = write_certificate(tmp_path)
    app = Starlette()
    with serving(app, certificate) as served:
        assert visit(served.url)["certificate"].status is Status.PROBLEM
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        trusted = visit(served.url)["certificate"]
    assert trusted.status is Status.WARNING, "it ends tomorrow"
    assert trusted.facts["days"] == 0
