"""The only place that runs git.

Which git: the first on PATH whose folder is absolute and outside of the repository. How: in the top folder of the work tree, with an environment that is
built from nothing, and with every setting overridden that names a program or changes an answer. What: plumbing alone that writes nothing and looks at
neither the index nor the work tree. Objects come from :class:`Objects`, which holds each against its own id.

No program of a repository, of its configuration or of this process's environment runs, and none of them changes an answer. ``safe.directory`` of the user
and of the machine is obeyed: git itself finds the repository, so that its own check of the owner is made.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Final

from amsctl.objectids import object_id as id_of
from amsctl.provenance.facts import Unknown

SECONDS: Final = 120.0
"""How long one question may take, and a reader of objects be silent."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""The most that is read of one answer, and of one object."""
_AT_ONCE: Final = 64
"""Objects asked for before the first is read: their ids fit into a pipe, so neither side waits for the other."""
_KEPT: Final = ("HOME", "XDG_CONFIG_HOME", "TMPDIR", "SYSTEMROOT", "USERPROFILE")
_FOLDERS: Final = ("HOME", "XDG_CONFIG_HOME", "USERPROFILE")
_CAN_ONLY_REFUSE: Final = "GIT_TEST_ASSUME_DIFFERENT_OWNER"
_SET: Final = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_OVERRIDDEN: Final = {
    "advice.graftFileDeprecated": "false",
    "core.alternateRefsCommand": "false",
    "core.askPass": "false",
    "core.attributesFile": os.devnull,
    "core.commitGraph": "false",
    "core.editor": "false",
    "core.excludesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.gitProxy": "false",
    "core.hooksPath": os.devnull,
    "core.multiPackIndex": "false",
    "core.pager": "cat",
    "core.sshCommand": "false",
    "core.untrackedCache": "false",
    "core.useReplaceRefs": "false",
    "core.warnAmbiguousRefs": "true",
    "credential.helper": "",
    "diff.external": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "gpg.program": "false",
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
    "uploadpack.packObjectsHook": "false",
}
_OPTIONS: Final = ("--no-pager", *(part for name, value in _OVERRIDDEN.items() for part in ("-c", f"{name}={value}")))
_OF_THE_STATE: Final = frozenset({"config", "for-each-ref", "symbolic-ref", "rev-parse"})
_HARMLESS: Final = frozenset({"core.bare and core.worktree do not make sense"})
_MOST_REASON: Final = 600
_MOST_LINE: Final = 4096
_CHUNK: Final = 1 << 16
_PASSWORD: Final = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_SAFE_DIRECTORY: Final = re.compile(r"(git config --global --add safe\.directory [^;]+)")
_IS_ID: Final = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z").match


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The program, the folder that it is run in, and its environment."""

    program: str
    top: str
    environ: Mapping[str, str]
    seconds: float = SECONDS
    _looks: list[dict[tuple[str, ...], bytes | None]] = field(default_factory=list, compare=False, repr=False)

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Within it each question about refs and settings is asked once: all that is decided there is decided on one state of the repository."""
        self._looks.append({})
        try:
            yield
        finally:
            self._looks.pop()

    def ask(self, *arguments: str, none: int | None = None) -> bytes | Unknown | None:
        """The whole output of a command, or Unknown with git's own reason. ``None`` where git ends with the exit code ``none`` and says nothing: how the
        commands of git that look for something tell that it is not there.
        """
        look = self._looks[-1] if self._looks and arguments[0] in _OF_THE_STATE else None
        key = (*arguments, str(none))
        if look is not None and key in look:
            return look[key]
        answer = self._asked(*arguments, none=none)
        if look is not None and not isinstance(answer, Unknown):
            look[key] = answer
        return answer

    def _asked(self, *arguments: str, none: int | None) -> bytes | Unknown | None:
        running = _start(self, arguments)
        if isinstance(running, Unknown):
            return running
        with running:
            running.end_of_input()
            output = running.read(MOST_BYTES + 1)
            if output is None:
                return _too_slow(arguments[0], self.seconds)
            if len(output) > MOST_BYTES:
                return Unknown(reason=f"git {arguments[0]} answers more than {MOST_BYTES} bytes")
            code = running.wait()
            said = running.said()
        if code is None:
            return _too_slow(arguments[0], self.seconds)
        if code == none and not output and not said:
            return None
        if code != 0 or said:
            return _reason(said, f"git {arguments[0]} ended with {code}")
        return output


def program(environ: Mapping[str, str], top: str) -> str | Unknown:
    """The absolute path of git: the first on PATH whose folder is absolute and neither it nor the program lies below ``top``."""
    for folder in _search_path(environ, top):
        for name in ("git", "git.exe") if os.name == "nt" else ("git",):
            found = os.path.join(folder, name)
            if os.path.isfile(found) and os.access(found, os.X_OK) and not inside(os.path.realpath(found), top):
                return found
    return Unknown(reason="there is no git on PATH outside of the repository", hint="install git")


def environment(environ: Mapping[str, str], top: str) -> dict[str, str]:
    """What git is given of an environment: where the user's own settings are, unless that is in the repository; nothing else of it."""
    kept = {name: environ[name] for name in _KEPT if environ.get(name)}
    for name in _FOLDERS:
        if name in kept and (not os.path.isabs(kept[name]) or inside(os.path.realpath(kept[name]), top)):
            del kept[name]
    if environ.get(_CAN_ONLY_REFUSE):
        kept[_CAN_ONLY_REFUSE] = environ[_CAN_ONLY_REFUSE]
    return {**kept, **_SET, "PATH": os.pathsep.join(_search_path(environ, top)), "GIT_CEILING_DIRECTORIES": os.path.dirname(top)}


def inside(path: str, folder: str) -> bool:
    """Whether a path with its links resolved is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _search_path(environ: Mapping[str, str], top: str) -> list[str]:
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    return [folder for folder in folders if os.path.isabs(folder) and not inside(os.path.realpath(folder), top)]


# --- objects ---


@dataclass(frozen=True, slots=True)
class Object:
    """An object of git: its type (``commit``, ``tree``, ``blob``, ``tag``) and its bytes, which are those that its id is of."""

    type: str
    content: bytes


class Objects:
    """Objects by id, from one ``git cat-file`` that runs as long as it is needed. For several threads. Ends with :meth:`close`, or with the value.

    What comes back is the object of that id (its hash is computed here), or Unknown: nothing is fetched, replaced or grafted.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._running: _Running | None = None
        self._lock = threading.Lock()

    def object(self, object_id: str, *, most_bytes: int = MOST_BYTES) -> Object | Unknown:
        """One object, of whatever type."""
        (found,) = self.objects([object_id], most_bytes=most_bytes)
        return found

    def objects(self, object_ids: Sequence[str], *, most_bytes: int = MOST_BYTES) -> Iterator[Object | Unknown]:
        """Each object, in the order of ``object_ids``."""
        ids = iter(object_ids)
        while batch := list(islice(ids, _AT_ONCE)):
            with self._lock:
                found = self._batch(batch, most_bytes)
            yield from found

    def read(self, object_id: str, *, type: str, most_bytes: int = MOST_BYTES) -> bytes | Unknown:
        """The bytes of one object, which is of this type."""
        (found,) = self.read_all([object_id], type=type, most_bytes=most_bytes)
        return found

    def read_all(self, object_ids: Sequence[str], *, type: str, most_bytes: int = MOST_BYTES) -> Iterator[bytes | Unknown]:
        """The bytes of each object, all of this type, in the order of ``object_ids``."""
        for object_id, found in zip(object_ids, self.objects(object_ids, most_bytes=most_bytes), strict=True):
            if isinstance(found, Unknown):
                yield found
            elif found.type != type:
                yield Unknown(reason=f"{object_id} is a {found.type}, not a {type}")
            else:
                yield found.content

    def close(self) -> None:
        """End the program: it only reads."""
        with self._lock:
            self._end()

    def __del__(self) -> None:
        self._end()

    def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.end()

    def _batch(self, object_ids: Sequence[str], most_bytes: int) -> list[Object | Unknown]:
        """Some objects. Where git fails at one, those that come after it are Unknown as well."""
        wrong = next((object_id for object_id in object_ids if not _IS_ID(object_id)), None)
        failed = None if wrong is None else Unknown(reason=f"{wrong!r} is no object id")
        failed = failed if failed is not None else self._ask(object_ids)
        found: list[Object | Unknown] = []
        for object_id in object_ids:
            running = self._running
            if failed is not None or running is None:
                assert failed is not None
                found.append(failed)
                continue
            one = self._next(running, object_id, most_bytes)
            if self._running is None:
                assert isinstance(one, Unknown)
                failed = one
            found.append(one)
        return found

    def _ask(self, object_ids: Sequence[str]) -> Unknown | None:
        """Ask for objects, of a program that is started if there is none."""
        if self._running is None:
            running = _start(self._git, ("cat-file", "--batch"))
            if isinstance(running, Unknown):
                return running
            self._running = running
        try:
            self._running.write("".join(f"{object_id}\n" for object_id in object_ids).encode("ascii"))
        except OSError:
            return self._failed(self._running, "git cat-file ended")
        return None

    def _next(self, running: _Running, object_id: str, most_bytes: int) -> Object | Unknown:
        head = running.line()
        if head == f"{object_id} missing":
            return Unknown(reason=f"the object {object_id} is missing in this repository", hint=_INCOMPLETE)
        told = (head or "").split(" ")
        if len(told) != 3 or told[0] != object_id or not told[2].isdecimal():
            return self._failed(running, f"git cat-file ended at {object_id}", late=head is None)
        size = int(told[2])
        if size > most_bytes:
            skipped = running.skip(size + 1)
            if not skipped:
                return self._failed(running, f"git cat-file ended within {object_id}", late=skipped is None)
            return Unknown(reason=f"the object {object_id} holds {size} bytes, more than {most_bytes}")
        content = running.read(size + 1)
        if content is None or len(content) != size + 1:
            return self._failed(running, f"git cat-file ended within {object_id}", late=content is None)
        content = content[:-1]
        if id_of(told[1], content, digits=len(object_id)) != object_id:
            self._end()
            return Unknown(reason=f"the object {object_id} is damaged: its bytes have another id", hint="git fsck says more")
        return Object(told[1], content)

    def _failed(self, running: _Running, what: str, *, late: bool = False) -> Unknown:
        running.kill()
        said = running.said()
        self._end()
        return _too_slow("cat-file", self._git.seconds) if late and not said else _reason(said, what)


_INCOMPLETE: Final = "fetch the whole history: git fetch --unshallow (fetch-depth: 0, GIT_DEPTH: 0), without --filter"


# --- what git says ---


def _start(git: Git, arguments: Sequence[str]) -> _Running | Unknown:
    """A git that runs, in a group of processes of its own, so that whatever it starts ends with it."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the program
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
            [git.program, *_OPTIONS, *arguments],
            cwd=git.top,
            env=git.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
            bufsize=0,
        )
    except OSError as error:
        errors.close()
        return Unknown(reason=f"{git.program} cannot be run: {error.strerror or type(error).__name__}", hint="install git")
    return _Running(process, errors, git.seconds)


class _Running:
    """A program that is being read, never longer than ``seconds`` without a word of it."""

    def __init__(self, started: subprocess.Popen[bytes], errors: IO[bytes], seconds: float) -> None:
        self._process = started
        self._errors = errors
        self._seconds = seconds
        self._stdin, self._stdout = _pipe(started.stdin), _pipe(started.stdout)
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._ahead = bytearray()

    def __enter__(self) -> _Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def write(self, given: bytes) -> None:
        """Hand over what fits into a pipe."""
        self._stdin.write(given)

    def end_of_input(self) -> None:
        """There is no more."""
        self._stdin.close()

    def line(self) -> str | None:
        """The next line without its end, which may be missing at the end of the output; ``None`` when it is late."""
        while (end := self._ahead.find(b"\n")) < 0 and len(self._ahead) < _MOST_LINE:
            more = self._more()
            if more is None:
                return None
            if not more:
                break
        line = bytes(self._ahead[: end if end >= 0 else len(self._ahead)])
        del self._ahead[: len(line) + 1]
        return line.decode("utf-8", "replace")

    def read(self, size: int) -> bytes | None:
        """So many bytes, fewer at the end of the output; ``None`` when they are late."""
        while len(self._ahead) < size:
            more = self._more()
            if more is None:
                return None
            if not more:
                break
        content = bytes(self._ahead[:size])
        del self._ahead[:size]
        return content

    def skip(self, size: int) -> bool | None:
        """Pass over so many bytes; whether they came, ``None`` when they are late."""
        while size > 0:
            part = self.read(min(size, _CHUNK))
            if not part:
                return None if part is None else False
            size -= len(part)
        return True

    def _more(self) -> bytes | None:
        if not self._poll.poll(self._seconds * 1000):
            return None
        more = os.read(self._stdout.fileno(), _CHUNK)
        self._ahead += more
        return more

    def wait(self) -> int | None:
        """The exit code; ``None`` when it is late."""
        try:
            return self._process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it and what it has started. Once its end was waited for, its number may be another's, and nothing is done."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()

    def said(self) -> list[str]:
        """The lines of its standard error, without those that change no answer."""
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read(_CHUNK).decode("utf-8", "replace").splitlines()]
        return [line for line in lines if line and line.removeprefix("warning: ") not in _HARMLESS]

    def end(self) -> None:
        """End it, if it still runs, and let go of its pipes."""
        self.kill()
        for stream in (self._stdin, self._stdout, self._errors):
            with suppress(OSError):
                stream.close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _reason(said: Sequence[str], otherwise: str) -> Unknown:
    """Git's own words on one line; what it says to do is the hint."""
    words = [re.sub(r"^(fatal|error|warning): ", "", line) for line in said]
    text = "; ".join(line.rstrip(":").rstrip(",") if line.endswith((":", ",")) else line for line in words)
    text = _PASSWORD.sub("•••", text)
    advice = _SAFE_DIRECTORY.search(text)
    if advice is not None:
        text = text[: advice.start()].rstrip("; ").removesuffix("; To add an exception for this directory, call")
        return Unknown(reason=f"git says: {text}"[:_MOST_REASON], hint=f"if the folder is to be trusted: {advice.group()}")
    return Unknown(reason=f"git says: {text}"[-_MOST_REASON:] if text else otherwise)


def _too_slow(command: str, seconds: float) -> Unknown:
    return Unknown(reason=f"git {command} gave no answer within {seconds:g} seconds", hint="try again; git gc may help")
