"""Pure codecs: what peers send, as frozen dataclasses. No sockets, no clocks, no audio processing."""
