"""Encodes frames as an MP4 that every browser and player can show."""

import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]  # ships no types
import numpy as np

from segment.files import atomic_write


def encode(path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], fps: int) -> None:
    """Write H.264 in yuv420p; after an error, `path` is unchanged.

    ffmpeg is called directly because imageio's writer does not check ffmpeg's exit code.

    Args:
        path: The video, `.mp4`.
        frames: RGB pictures, uint8, (height, width, 3).
        size: Width and height in pixels, both even.
        fps: Frames per second.

    Raises:
        ValueError: If a frame has another size or type.
        RuntimeError: If ffmpeg fails, with ffmpeg's error message.
    """
    width, height = size
    with atomic_write(path) as temporary, tempfile.TemporaryFile() as errors:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
        # One thread, because several cases may be encoded in parallel.
        command += ["-c:v", "libx264", "-preset", "fast", "-crf", "23", "-pix_fmt", "yuv420p", "-threads", "1"]
        # faststart lets a browser play the video before it is completely loaded.
        command += ["-movflags", "+faststart", str(temporary)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors) as process:
            try:
                _feed(process, frames, (height, width, 3))
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            msg = f"ffmpeg could not write {path.name} (exit code {process.returncode}): {errors.read().decode()}"
            raise RuntimeError(msg)


def _feed(process: "subprocess.Popen[bytes]", frames: Iterable[np.ndarray], shape: tuple[int, ...]) -> None:
    """Send all frames to ffmpeg; return early if ffmpeg exits, because its exit code and message say more."""
    if process.stdin is None:
        msg = "ffmpeg was started without an input"
        raise RuntimeError(msg)
    try:
        for frame in frames:
            if frame.shape != shape or frame.dtype != np.uint8:
                msg = f"a frame must be uint8 {shape}, got {frame.dtype} {frame.shape}"
                raise ValueError(msg)
            process.stdin.write(np.ascontiguousarray(frame).data)
    except BrokenPipeError:
        return
    finally:
        # close() flushes the buffer into the broken pipe; its error must not replace the one raised above.
        with suppress(BrokenPipeError):
            process.stdin.close()
