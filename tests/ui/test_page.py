"""The page's routes: what they serve, as what, and how long it may be kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from fastrtc.errors import ConfigurationError
from fastrtc.ui import PageConfig, page, page_routes, ui_app
from fastrtc.ui.page import client_directory

pytestmark = pytest.mark.anyio


def client(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_the_page_and_all_that_it_names_are_served() -> None:
    async with client(ui_app()) as http:
        index = await http.get("/")
        assert index.headers["content-type"] == "text/html; charset=utf-8"
        names = re.findall(r'(?:href|src)="([^"]+)"', index.text)
        assert {"static/style.css", "static/app.js", "client/index.js"} <= set(names)
        for name in names:
            assert not name.startswith(("/", "http")), "only relative addresses work under a prefix"
            assert (await http.get("/" + name)).status_code == 200


async def test_every_module_is_served_as_javascript_and_every_import_leads_somewhere() -> None:
    async with client(ui_app()) as http:
        waiting, seen = ["static/app.js", "client/capture-worklet.js", "client/playback-worklet.js"], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            response = await http.get("/" + name)
            assert response.status_code == 200, name
            assert response.headers["content-type"] == "text/javascript; charset=utf-8"
            assert "//" not in "".join(re.findall(r'from "([^"]+)"', response.text)), "nothing from other servers"
            base = httpx.URL("http://test/" + name)
            targets = re.findall(r'^(?:import|export)\b[^;]*? from "([^"]+)";', response.text, re.MULTILINE)
            waiting += [base.join(target).path.lstrip("/") for target in targets]
        assert "client/session.js" in seen


async def test_files_are_revalidated_and_the_configuration_is_not_kept() -> None:
    async with client(ui_app()) as http:
        first = await http.get("/static/style.css")
        assert first.headers["cache-control"] == "no-cache"
        assert first.headers["content-type"] == "text/css; charset=utf-8"
        again = await http.get("/static/style.css", headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304
        assert (await http.get("/config.json")).headers["cache-control"] == "no-store"


async def test_the_policy_allows_nothing_inline_and_nothing_foreign() -> None:
    async with client(ui_app()) as http:
        index = await http.get("/")
        policy = index.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)", index.text)
        assert not re.search(r"\s(?:style|on\w+)=", index.text)


async def test_nothing_else_of_the_disk_is_served() -> None:
    async with client(ui_app()) as http:
        for path in ("/static/../page.py", "/static/%2e%2e/page.py", "/client/../../pyproject.toml", "/static/"):
            assert (await http.get(path)).status_code == 404


async def test_the_configuration_of_the_page() -> None:
    config = PageConfig(
        title="Desk",
        subtitle="Ask away",
        mode="receive",
        base="..",
        rtc_configuration={"iceServers": [{"urls": "stun:example.org"}]},
        track_constraints={"noiseSuppression": False},
        rtp_params={"degradationPreference": "maintain-framerate"},
        time_limit_s=90,
        text_input=False,
    )
    async with client(Starlette(routes=[Mount("/desk", ui_app(config))])) as http:
        assert (await http.get("/desk/config.json")).json() == {
            "title": "Desk",
            "subtitle": "Ask away",
            "modality": "audio",
            "mode": "receive",
            "base": "..",
            "rtc_configuration": {"iceServers": [{"urls": "stun:example.org"}]},
            "track_constraints": {"noiseSuppression": False},
            "rtp_params": {"degradationPreference": "maintain-framerate"},
            "time_limit_s": 90,
            "features": {"text_input": False, "captions": False, "stop_words": []},
        }


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_function_makes_the_rtc_configuration_for_every_visit(kind: str) -> None:
    visits = 0

    def make() -> Mapping[str, Any]:
        nonlocal visits
        visits += 1
        return {"iceServers": [], "visit": visits}

    async def make_async() -> Mapping[str, Any]:
        return make()

    async with client(ui_app(PageConfig(rtc_configuration=make if kind == "sync" else make_async))) as http:
        for visit in (1, 2):
            made = (await http.get("/config.json")).json()["rtc_configuration"]
            assert made == {"iceServers": [], "visit": visit}


async def test_the_routes_fit_into_an_application_of_ones_own() -> None:
    async with client(Starlette(routes=page_routes(PageConfig(title="Mine")))) as http:
        assert (await http.get("/config.json")).json()["title"] == "Mine"
        assert (await http.get("/elsewhere")).status_code == 404


def test_a_broken_installation_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c" / "ui"
    deep.mkdir(parents=True)
    monkeypatch.setattr(page, "_HERE", deep)
    with pytest.raises(ConfigurationError, match="browser client is missing"):
        client_directory()
    (deep / "client").mkdir()
    (deep / "client" / "index.js").touch()
    assert client_directory() == deep / "client"
