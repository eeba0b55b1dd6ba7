"""The disk below the ledger, failing: the n-th write, sync or truncation below ``.amsctl`` is refused by a library that is preloaded (``disk.c``).

What fails is the system's own call, below SQLite and below Python alike: nothing here knows how the ledger is written.
"""

from __future__ import annotations

import ctypes
import errno
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BELOW = "/.amsctl"
"""The ledger's folder, with everything in it."""
COMPILERS = ("cc", "gcc", "clang")


def compiled(folder: Path) -> Path | None:
    """The library, made anew; ``None`` where there is no compiler."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return None
    library, source = folder / "disk.so", Path(__file__).with_name("disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@contextmanager
def failing(number: int, error: str, lasting: bool) -> Iterator[Callable[[], str]]:
    """Inside, the ``number``-th call fails (0: none does), and with ``lasting`` all after it. What is given tells the calls so far."""
    library = ctypes.CDLL(None)  # the process itself: what was preloaded into it
    library.fail_below.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    library.calls_below.restype = ctypes.c_char_p
    library.fail_below(BELOW.encode(), number, getattr(errno, error), lasting)
    yield lambda: (library.calls_below() or b"").decode()
