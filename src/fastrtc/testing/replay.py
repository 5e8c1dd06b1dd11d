"""Recorded audio through a handler in virtual time."""

from __future__ import annotations

import numpy as np

from fastrtc.audio import PCM
from fastrtc.handlers.base import StreamHandlerBase
from fastrtc.testing.rehearsal import Rehearsal


def replay(handler: StreamHandlerBase, pcm: PCM, rate: int) -> list[tuple[int, PCM]]:
    """Let a ``ReplyOnPause`` hear a recording, as fast as the machine can, and run its replies.

    Args:
        handler: The handler; it is used itself, so give a ``copy()`` of one that is used again.
        pcm: The user's microphone, ``int16`` of shape ``(n,)``, given in frames of 20 ms.
        rate: Its sample rate in Hz.

    Returns:
        For each call of the reply function: the number of input samples that had been received, and the audio that it
        was given, ``int16`` of shape ``(1, m)`` at the handler's input rate.

    Raises:
        ConfigurationError: The handler takes no turns.
    """
    rehearsal = Rehearsal(handler, rate)
    try:
        rehearsal.hear(np.ascontiguousarray(pcm).reshape(-1))
    finally:
        rehearsal.close()
    return [(call.position, call.audio.reshape(1, -1)) for call in rehearsal.calls]
