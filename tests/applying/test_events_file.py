"""What a run writes down for others is readable by its owner alone, as the plan is."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from amsctl.applying.recorders import EventsFile
from amsctl.errors import RecordingFailed


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_new_events_file_is_its_owner_s_alone(tmp_path: Path, mask: int) -> None:
    """Whatever the mask of the process allows."""
    before = os.umask(mask)
    try:
        with EventsFile(str(tmp_path / "events.jsonl")):
            assert mode_of(tmp_path / "events.jsonl") == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o400])
def test_one_that_is_there_becomes_so_before_anything_is_written(tmp_path: Path, mode: int) -> None:
    """As plan -o does: whatever its mode was, and also behind a link; one that may not be written is an error, and keeps its mode."""
    path, link = tmp_path / "events.jsonl", tmp_path / "link"
    path.write_text("old\n")
    path.chmod(mode)
    link.symlink_to(path)
    if not os.access(path, os.W_OK):
        with pytest.raises(RecordingFailed, match="cannot be written"):
            EventsFile(str(link))
        assert mode_of(path) == mode
        return
    with EventsFile(str(link)):
        assert (mode_of(path), path.read_text()) == (0o600, "")


def test_a_pipe_is_written_into_and_keeps_its_mode(tmp_path: Path) -> None:
    """What is no regular file is the user's to guard."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o644)
    pipe.chmod(0o644)
    reader = threading.Thread(target=pipe.read_bytes)
    reader.start()
    with EventsFile(str(pipe)):
        assert mode_of(pipe) == 0o644
    reader.join()
