"""Settings of the property tests: small in every run, large in a campaign (``AMSCTL_CAMPAIGN=N`` multiplies the examples).

And the search for secrets in whatever any test of the suite prints or leaves behind (``tests/hostile/canaries.py``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from amsctl.cli.console import Console
from amsctl.config import Secret
from amsctl.provenance import pipeline
from amsctl.sandbox.auth import Credential
from tests.hostile.canaries import CANARIES, ENVIRON, HUNT, Hunt

CAMPAIGN = int(os.environ.get("AMSCTL_CAMPAIGN", "1"))
WHOLE_SUITE_TESTS = 4_000
LEAST = {"texts": 20_000, "files": 3_000, "canaries": 2_000}
"""What a session of the whole suite must have searched, and how often a canary must have been somebody's secret in it: all workers together."""
"""What a worker that has run so many tests has searched at least, and how many canaries were configured as secrets."""

for name in ("CI", "CONTINUOUS_INTEGRATION", "GITHUB_ACTIONS", "GITLAB_CI", *pipeline._OTHERS):
    os.environ.pop(name, None)  # every test says itself whether it runs in a pipeline

settings.register_profile(
    "amsctl",
    max_examples=50 if CAMPAIGN == 1 else 100 * CAMPAIGN,
    deadline=None,
    derandomize=CAMPAIGN == 1,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("amsctl")


UNMEASURED = ("alone", "browser", "chaos", "hostile")
MEASURED = ("alone/test_clones.py", "alone/test_rules.py")
"""Folders whose tests do not count for coverage, and files of theirs that do: what they go through is met by the tests of its own room, and a tracer doubles
the time that they take.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See ``UNMEASURED``."""
    here = Path(__file__).parent
    for item in items:
        below = item.path.relative_to(here).as_posix() if here in item.path.parents else ""
        if below.partition("/")[0] in UNMEASURED and below not in MEASURED:
            item.add_marker(pytest.mark.no_cover)


def pytest_configure(config: pytest.Config) -> None:
    """A shell starts what it puts into the background with SIGINT ignored, and so would be whatever the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """``no_cover`` also where tests run side by side: there a worker has two measurements, and pytest-cov pauses one, which wakes the other."""
    if item.get_closest_marker("no_cover") is None:
        return (yield)
    tracer, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
        threading.settrace(of_threads)  # type: ignore[arg-type]


_ran = 0
_searched: list[dict[str, int]] = []


@pytest.fixture
def hunt() -> Hunt:
    """The search of this test, to register canaries with."""
    return HUNT


def _hear_secrets(patch: pytest.MonkeyPatch) -> None:
    """Every secret that is configured is looked for: amsctl's, the sandbox's, and the keys of certificates."""
    make, admit = Secret.__init__, Credential.__init__

    def noted(self: Secret, text: str) -> None:
        make(self, text)
        HUNT.secret(text)

    def admitted(self: Credential, *arguments: Any, **named: Any) -> None:
        admit(self, *arguments, **named)
        HUNT.secret(self.secret)

    patch.setattr(Secret, "__init__", noted)
    patch.setattr(Credential, "__init__", admitted)
    if trustme := sys.modules.get("trustme"):
        issue, write = trustme.LeafCert.__init__, trustme.Blob.write_to_path

        def issued(self: Any, *arguments: Any, **named: Any) -> None:
            issue(self, *arguments, **named)
            HUNT.stand("a line of a TLS key", self.private_key_pem.bytes().decode().splitlines()[2])

        def written(self: Any, path: str, *arguments: Any, **named: Any) -> None:
            write(self, path, *arguments, **named)
            HUNT.input(Path(path))

        patch.setattr(trustme.LeafCert, "__init__", issued)
        patch.setattr(trustme.Blob, "write_to_path", written)


def _hear_outputs(patch: pytest.MonkeyPatch) -> None:
    """Everything that a console says, that a process prints, and that a test takes from what was captured."""
    result, put, communicate, read = Console.result, Console._put, subprocess.Popen.communicate, pytest.CaptureFixture.readouterr

    def result_heard(self: Console, text: str) -> None:
        HUNT.search(text, "standard output")
        result(self, text)

    def put_heard(self: Console, text: str) -> None:
        HUNT.search(text, "standard error")
        put(self, text)

    def communicated(self: subprocess.Popen[Any], *arguments: Any, **named: Any) -> Any:
        streams = communicate(self, *arguments, **named)
        for stream, name in zip(streams, ("output", "error"), strict=True):
            if stream:
                HUNT.search(stream, f"standard {name} of a process")
        return streams

    def read_heard(self: pytest.CaptureFixture[Any]) -> Any:
        captured = read(self)
        for stream in captured:
            HUNT.search(stream, "what was captured")
        return captured

    patch.setattr(Console, "result", result_heard)
    patch.setattr(Console, "_put", put_heard)
    patch.setattr(subprocess.Popen, "communicate", communicated)
    patch.setattr(pytest.CaptureFixture, "readouterr", read_heard)


def _note_inputs(patch: pytest.MonkeyPatch) -> None:
    """What a test writes itself, with a secret in it, may stay in that file."""
    write_text, write_bytes = Path.write_text, Path.write_bytes

    def text_written(self: Path, data: str, *arguments: Any, **named: Any) -> int:
        count = write_text(self, data, *arguments, **named)
        _note(self, sys._getframe(1).f_globals)
        return count

    def bytes_written(self: Path, data: Any) -> int:
        count = write_bytes(self, data)
        _note(self, sys._getframe(1).f_globals)
        return count

    def _note(path: Path, caller: dict[str, Any]) -> None:
        if not str(caller.get("__name__", "")).startswith("amsctl.") and path.is_file():
            with path.open("rb") as written:
                content = written.read(1 << 16)
            if HUNT.holds(content):
                HUNT.input(path, content)

    patch.setattr(Path, "write_text", text_written)
    patch.setattr(Path, "write_bytes", bytes_written)


@pytest.fixture(scope="session", autouse=True)
def _overheard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The ears of the whole session. At its end: much was searched, canaries were carried, and one that came out would have been found."""
    with pytest.MonkeyPatch.context() as patch:
        for name, text in ENVIRON.items():
            patch.setenv(name, text)
        _hear_secrets(patch)
        _hear_outputs(patch)
        _note_inputs(patch)
        yield
        base = tmp_path_factory.getbasetemp()
        HUNT.search_rest(base)
        found = HUNT.taken()
        assert not found, "secrets are left in the session's folders:\n" + "\n".join(found)
        assert HUNT.bites(tmp_path_factory.mktemp("bites")) == []


def _figures() -> dict[str, int]:
    """How much this process has searched."""
    canaries = HUNT.carried.total() - HUNT.carried[""]
    return {"tests": _ran, "texts": HUNT.texts, "files": HUNT.files, "bytes": HUNT.bytes, "canaries": canaries}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """After each test: nothing that it printed, logged or left behind may hold a secret."""
    global _ran
    _ran += 1
    for _, kind, text in item._report_sections:
        HUNT.search(text, f"captured {kind}")
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if isinstance(folder, Path):
        HUNT.search_files(folder)
    outcome = yield  # fixtures end here, and may search on their own
    found = HUNT.taken()
    HUNT.forget()
    if found:
        pytest.fail("secrets came out:\n" + "\n".join(found), pytrace=False)
    return outcome


# --- the figures of the session, of all workers together ---


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells its own; a session without workers keeps them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["hunt"] = _figures()
        return
    if _ran:
        _searched.append(_figures())
    if too_little(_total()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _total() -> dict[str, int]:
    return {name: sum(one[name] for one in _searched) for name in _figures()}


def too_little(total: dict[str, int]) -> list[str]:
    """What a session of the whole suite has searched less of than it must; nothing of a session of a part."""
    if total["tests"] < WHOLE_SUITE_TESTS:
        return []
    return [f"{name}: {total[name]:,} of at least {least:,}" for name, least in LEAST.items() if total[name] < least]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The figures of a worker that is done."""
    _searched.extend(filter(None, [getattr(node, "workeroutput", {}).get("hunt")]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line, so that finding nothing has a measure."""
    if _searched:
        total = _total()
        terminalreporter.write_line(
            f"secrets: {len(CANARIES) + 1} canaries, configured {total['canaries']:,} times, looked for in 4 encodings and more in "
            f"{total['texts']:,} outputs and {total['files']:,} files ({total['bytes'] / 1e6:,.0f} MB)"
        )
        for line in too_little(total):
            terminalreporter.write_line(f"FAILED: the hunt for secrets has searched too little: {line}")
