"""A working directory for the code of the pages."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TURN_SECRET", "secret")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "secret")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    return tmp_path
