"""``fastrtc doctor``: what keeps a voice service from connecting, and what to change."""
