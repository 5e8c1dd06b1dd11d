"""What ``fastrtc demo`` serves: complete applications, small enough to read."""
