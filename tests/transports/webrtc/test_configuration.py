from __future__ import annotations

import pytest

from fastrtc.errors import ConfigurationError
from fastrtc.transports.webrtc.configuration import NetworkOptions, network_options
from fastrtc.transports.webrtc.engine import IceServer

TURN = {"urls": ["turn:b", "turns:c?transport=tcp"], "username": "u", "credential": "p"}


def test_what_this_side_uses_of_an_rtc_configuration():
    options = network_options({"iceServers": [{"urls": "stun:a"}, TURN], "bundlePolicy": "balanced"})
    assert [server.urls for server in options.ice_servers] == [("stun:a",), ("turn:b", "turns:c?transport=tcp")]
    assert options.ice_servers[1] == IceServer(urls=("turn:b", "turns:c?transport=tcp"), username="u", credential="p")
    assert (options.ice_transport_policy, options.port_range) == ("all", None)
    assert network_options(None) == network_options({}) == NetworkOptions()


def test_relay_and_ports():
    options = network_options({"iceServers": [TURN], "iceTransportPolicy": "relay", "portRange": [50_000, 50_199]})
    assert (options.ice_transport_policy, options.port_range) == ("relay", (50_000, 50_199))


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (["stun:a"], "dict"),
        ({"iceServers": "stun:a"}, "must be a list"),
        ({"iceServers": ["stun:a"]}, "must be a dict"),
        ({"iceServers": [{}]}, "must be a dict"),
        ({"iceServers": [{"urls": []}]}, "must be a dict"),
        ({"iceServers": [{"urls": "stun.example.org"}]}, "begins with"),
        ({"iceServers": [{"urls": "https://turn.example.org"}]}, "begins with"),
        ({"iceServers": [{"urls": ["stun:a", 7]}]}, "begins with"),
        ({"iceServers": [{"urls": "turn:a"}]}, "username"),
        ({"iceTransportPolicy": "public"}, "all"),
        ({"iceTransportPolicy": ["relay"]}, "all"),
        ({"iceTransportPolicy": "relay"}, "TURN"),
        ({"iceTransportPolicy": "relay", "iceServers": [{"urls": "stun:a"}]}, "TURN"),
        ({"portRange": 50_000}, "portRange"),
        ({"portRange": [50_000]}, "portRange"),
        ({"portRange": [50_199, 50_000]}, "portRange"),
        ({"portRange": [80, 90]}, "portRange"),
        ({"portRange": [50_000, 70_000]}, "portRange"),
        ({"portRange": ["50000", "50199"]}, "portRange"),
    ],
)
def test_what_cannot_work_is_said_when_it_is_given(wrong, hint):
    with pytest.raises(ConfigurationError, match=hint):
        network_options(wrong)
