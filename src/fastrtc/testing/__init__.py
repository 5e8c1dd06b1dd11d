"""Test your voice application without a browser, a microphone or a clock."""

from __future__ import annotations

from fastrtc.testing.rehearsal import Call, Rehearsal
from fastrtc.testing.replay import replay

__all__ = ["Call", "Rehearsal", "replay"]
