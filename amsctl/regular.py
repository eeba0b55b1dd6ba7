"""Files that a setting or the environment names, read whole: regular ones alone, and of no more than so many bytes. Standard library only.

What is opened like any other file may be a pipe that never ends, a device, or a disk full of zeros.
"""

from __future__ import annotations

import errno
import os
import stat


class NotRegular(OSError):
    """There is something at the path that is no regular file, or a larger one than is read; ``strerror`` says which, as for any other failure."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, reason)


def read_regular(path: str, most_bytes: int) -> bytes:
    """The bytes of a regular file (links are followed). OSError where it cannot be read, NotRegular where it is none or has more than ``most_bytes``."""
    # Without waiting: to open a pipe waits for whoever writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotRegular("not a regular file")
        content = b""
        if status.st_size <= most_bytes:
            with open(descriptor, "rb", closefd=False) as stream:
                content = stream.read(most_bytes + 1)
        if max(status.st_size, len(content)) > most_bytes:
            raise NotRegular(f"more than {most_bytes:,} bytes")
    finally:
        os.close(descriptor)
    return content
