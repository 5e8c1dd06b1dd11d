"""An application of FastRTC that people call: Twilio's webhook and its media stream, with recorded calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.fakes.phone import LINE_HZ, called
from tests.fakes.sound import Clip
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.speech


def test_a_call_of_two_turns(serve_app: Any, clips: list[Clip]) -> None:
    app, served = serve_app("phone")
    silence = np.zeros(LINE_HZ, np.int16)
    with called(served.url, "MZ1") as phone:
        phone.begin()
        greeting = phone.listen(0.45)
        assert np.median(np.abs(greeting)) == pytest.approx(3000, rel=0.1)
        for clip in clips[:2]:
            phone.say(np.concatenate([clip.at(LINE_HZ), silence]))
            phone.listen_for(clip.speech()[: LINE_HZ // 2])
        assert list(app.stream.connections) == ["MZ1"]

        # Everybody else hears that the line is busy, and the call goes on.
        with called(served.url, "MZ2") as other:
            other.begin()
            refusal = {"error": "concurrency_limit_reached", "limit": 1}
            assert other.receive() == {"status": "failed", "meta": refusal}
            with pytest.raises(ConnectionClosed):
                other.receive()
        assert list(app.stream.connections) == ["MZ1"]
        phone.hang_up()
    assert [(call[0], call[1], call[2]) for call in app.calls] == [("MZ1", 1, 16_000), ("MZ1", 2, 16_000)]
    assert phone.marks
