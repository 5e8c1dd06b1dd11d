"""Test your voice application without a browser, a microphone or a clock."""

from __future__ import annotations

from fastrtc.testing.rehearsal import Call, Rehearsal
from fastrtc.testing.replay import replay
from fastrtc.testing.script import Performance, Script, ScriptedVad, Speech

__all__ = ["Call", "Performance", "Rehearsal", "Script", "ScriptedVad", "Speech", "replay"]
