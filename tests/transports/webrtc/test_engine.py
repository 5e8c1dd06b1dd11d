from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.transports.webrtc.engine import ENGINE_VARIABLE, load_engine


@pytest.mark.parametrize("name", ["wrtc", "aiortc"])
def test_an_engine_by_name_or_by_the_environment(name, monkeypatch):
    pytest.importorskip(name)
    assert load_engine(name).name == name
    monkeypatch.setenv(ENGINE_VARIABLE, name)
    assert load_engine().name == name


def test_the_default(monkeypatch):
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    assert load_engine().name == "wrtc"


def test_an_unknown_engine_names_those_that_there_are():
    with pytest.raises(ConfigurationError, match="wrtc, aiortc"):
        load_engine("gstreamer")


@pytest.mark.parametrize("name", ["wrtc", "aiortc"])
def test_an_engine_that_is_not_installed(name, monkeypatch):
    ours = [f"fastrtc.transports.webrtc.{name}_{part}" for part in ("engine", "audio")]
    for module in [name, "webrtc", *ours]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "webrtc", None)
    with pytest.raises(MissingExtraError, match=name):
        load_engine(name)


def test_wrtc_falls_back_to_its_public_streams_when_the_private_way_is_gone(monkeypatch, caplog):
    wrtc = pytest.importorskip("wrtc")
    from fastrtc.transports.webrtc import wrtc_audio
    from fastrtc.transports.webrtc.wrtc_engine import WrtcEngine

    assert wrtc_audio.native_audio_works()
    monkeypatch.delattr(wrtc, "TrackGenerator")
    assert not wrtc_audio.native_audio_works()
    assert not WrtcEngine().native_audio
    assert "public streams" in caplog.text


@pytest.mark.parametrize(("given", "kept"), [("", "forget_factor:0.8"), ("Disabled", "Disabled")])
def test_the_jitter_buffer_forgets_sooner_unless_the_app_has_chosen_itself(given, kept):
    pytest.importorskip("wrtc")
    name = "WebRTC-Audio-NetEqDelayManagerConfig"
    code = f"""
from fastrtc.transports.webrtc.engine import load_engine
load_engine("wrtc")
load_engine("wrtc")
import webrtc
print(webrtc.field_trials[{name!r}])
"""
    environment = {**os.environ, "WRTC_FIELD_TRIALS": f"{name}/{given}/" if given else ""}
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert kept in shown.stdout
