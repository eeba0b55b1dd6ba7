"""Signatures, made and checked by OpenSSH's ssh-keygen: the one place that runs it. The keys and the lists of signers are those that git uses.

Whether a signature holds is ssh-keygen's to say, for one name at a time (``-Y verify``); whose key it is the list says (``approvals.signers``).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from amsctl.approvals.approval import Approval
from amsctl.approvals.keys import NotAKey, PublicKey, signature_text
from amsctl.approvals.signers import SignerList, names_behind
from amsctl.errors import ApprovalMissing, ConfigError

NAMESPACE: Final = "amsctl-approval"
"""What a signature over an approval is for (``namespaces=`` of a list of signers): one over anything else is no approval."""
COMMITS: Final = "git"
"""What git signs commits for."""
_SECONDS: Final = 60
_MOST_SAID: Final = 300
_NEEDS: Final = frozenset({"HOME", "USER", "TZ", "TZDIR", "SYSTEMROOT"})
_TO_SIGN: Final = frozenset({"SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY", "TERM"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What ssh-keygen says of one signature by one list: the names, as written there, for which it holds; else its reason."""

    place: str
    names: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One signature that was looked at: whose it could be by every line of every list (``behind``), and what ssh-keygen says by each list, in the order
    in which they were given. ``problem`` tells why it could not be looked at.
    """

    key: PublicKey | None
    behind: frozenset[str]
    held: tuple[Held, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Keygen:
    """ssh-keygen as it was found, and the environment that it is given: of this process's, where secrets are, only what it needs."""

    program: str
    environ: Mapping[str, str]

    def sign(self, message: bytes, key: str) -> str:
        """The armored signature with a private key (or a public one whose private half an agent holds). ConfigError when there is none."""
        done = self._run(["-Y", "sign", "-n", NAMESPACE, "-f", key], message)
        text = done.stdout.decode("ascii", "replace")
        if done.returncode or not text.startswith("-----BEGIN SSH SIGNATURE-----"):
            raise ConfigError(
                "ssh-keygen did not sign",
                where=key,
                found=_said(done.stderr) or f"exit code {done.returncode}",
                hint="name a key of yours with --key; a key that an agent holds is named by its public file",
            )
        return text

    def check(self, message: bytes, signature: bytes, lists: Sequence[SignerList], *, namespace: str) -> Checked:
        """What ssh-keygen says of a signature by each list, and whose key it is by all of them."""
        try:
            said = signature_text(signature)
        except NotAKey as problem:
            return Checked(key=None, behind=frozenset(), held=tuple(Held(place=one.place, names=()) for one in lists), problem=str(problem))
        held = tuple(self._held(message, said.armored, said.key, one, namespace) for one in lists)
        return Checked(key=said.key, behind=names_behind(said.key, lists), held=held)

    def _held(self, message: bytes, signature: bytes, key: PublicKey, listed: SignerList, namespace: str) -> Held:
        to_try = listed.to_try(key)
        if not to_try:
            return Held(place=listed.place, names=(), reason="the list of signers lacks the key")
        names, reason = [], ""
        with tempfile.TemporaryDirectory(prefix="amsctl-approval-") as folder:
            paths = [os.path.join(folder, name) for name in ("signers", "signature")]
            for path, content in zip(paths, (listed.content, signature), strict=True):
                with open(path, "wb") as stream:
                    stream.write(content)
            for name in to_try:
                done = self._run(["-Y", "verify", "-n", namespace, "-I", name, "-f", paths[0], "-s", paths[1]], message)
                if done.returncode == 0:
                    names.append(name)
                else:
                    reason = _said(done.stderr, (paths[0], listed.place), (paths[1], "the signature")) or f"exit code {done.returncode}"
        return Held(place=listed.place, names=tuple(names), reason="" if names else f"ssh-keygen: {reason}")

    def _run(self, arguments: Sequence[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603  no shell
                [self.program, *arguments], input=given, capture_output=True, env=dict(self.environ), timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise ApprovalMissing(
                "ssh-keygen gave no answer, so no signature could be made or checked", found=f"none after {_SECONDS} s", hint="try again"
            ) from None
        except OSError as problem:
            raise ApprovalMissing(
                "ssh-keygen could not be run, so no signature could be made or checked",
                where=self.program,
                found=problem.strerror or type(problem).__name__,
                hint="try again",
            ) from None


def find_keygen(environ: Mapping[str, str], *, outside: str | None) -> Keygen:
    """ssh-keygen, by the ``PATH`` of ``environ``. No relative folder is looked in, and none below ``outside`` (the repository): a commit brings no
    program along. ConfigError where it is not found.
    """
    kept = [folder for folder in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(folder) and not _below(folder, outside)]
    for folder in kept:
        program = os.path.join(folder, "ssh-keygen")
        if os.path.isfile(program) and os.access(program, os.X_OK) and not _below(program, outside):
            asks = environ.get("SSH_ASKPASS", "")
            needs = _NEEDS | (_TO_SIGN - {"SSH_ASKPASS"} if not os.path.isabs(asks) or _below(asks, outside) else _TO_SIGN)
            given = {name: text for name, text in environ.items() if name in needs}
            return Keygen(program, {**given, "PATH": os.pathsep.join(kept), "LC_ALL": "C"})
    raise ConfigError(
        "approvals need OpenSSH's ssh-keygen, and it is not here", hint="install it (Debian: openssh-client), version 8.9 or newer"
    )


def _below(path: str, folder: str | None) -> bool:
    if folder is None:
        return False
    top, place = os.path.realpath(folder), os.path.realpath(path)
    return place == top or place.startswith(top.rstrip(os.sep) + os.sep)


def check_approval(keygen: Keygen, approval: Approval, lists: Sequence[SignerList]) -> Checked:
    """What is known of an approval's signature, by each list."""
    return keygen.check(approval.statement.to_sign(), approval.signature.encode("utf-8", "replace"), lists, namespace=NAMESPACE)


def check_commit(keygen: Keygen, payload: bytes, signature: bytes, lists: Sequence[SignerList]) -> Checked:
    """What is known of a commit's signature, by each list, as of now: when a commit says that it was made is its author's to write."""
    return keygen.check(payload, signature if signature.endswith(b"\n") else signature + b"\n", lists, namespace=COMMITS)


def _said(output: bytes, *instead: tuple[str, str]) -> str:
    """ssh-keygen's own words on one line, the first two lines of them, with the names of files that it was given in place of ours."""
    text = output.decode("utf-8", "replace")
    for ours, theirs in instead:
        text = text.replace(ours, theirs)
    return "; ".join(line.strip() for line in text.splitlines()[:2] if line.strip())[:_MOST_SAID]
