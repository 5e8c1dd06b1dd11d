"""The names that applications written against FastRTC import from ``fastrtc.reply_on_pause``; they live elsewhere."""

from __future__ import annotations

from fastrtc.handlers.chunked import AppState
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.turns.options import AlgoOptions

__all__ = ["AlgoOptions", "AppState", "ReplyOnPause"]
