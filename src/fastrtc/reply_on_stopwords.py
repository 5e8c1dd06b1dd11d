"""The name that applications written against FastRTC import from ``fastrtc.reply_on_stopwords``; it lives elsewhere."""

from __future__ import annotations

from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords

__all__ = ["ReplyOnStopWords"]
