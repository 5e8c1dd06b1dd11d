"""Files that Chromium takes for a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_camera(path: Path, *pictures: NDArray[np.uint8], fps: int = 30) -> Path:
    """Write a film that is shown again and again (YUV4MPEG2, BT.601).

    Args:
        path: Of the file.
        *pictures: uint8 of shape (height, width, 3), red, green, blue; both sides even. One stands still.
        fps: Pictures per second.
    """
    height, width, _ = pictures[0].shape
    header = f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode()
    frames = [_frame(picture) for picture in pictures]
    path.write_bytes(header + b"".join(frames if len(frames) > 1 else frames * 10))
    return path


def _frame(picture: NDArray[np.uint8]) -> bytes:
    height, width, _ = picture.shape
    red, green, blue = (picture[..., channel].astype(np.float64) for channel in range(3))
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    blueness = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    redness = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    planes = [luma, *(c.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)) for c in (blueness, redness))]
    return b"FRAME\n" + b"".join(plane.round().astype(np.uint8).tobytes() for plane in planes)
