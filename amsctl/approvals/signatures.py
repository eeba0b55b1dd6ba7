"""Signatures over approvals, made and checked by OpenSSH's ssh-keygen: the keys and the list of signers are those that git uses."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Final

from amsctl.approvals.approval import Approval
from amsctl.errors import ApprovalMissing, ConfigError

NAMESPACE: Final = "amsctl-approval"
"""What a signature is for (``namespaces=`` of a list of signers): one over anything else is no approval."""
_SECONDS: Final = 60
_NEEDS: Final = frozenset({"PATH", "HOME", "USER", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "TERM", "SYSTEMROOT"})


def sign(message: bytes, key: str) -> str:
    """The armored signature with a private key (or a public one whose private half an agent holds). ConfigError when there is none."""
    done = _keygen(["-Y", "sign", "-n", NAMESPACE, "-f", key], message)
    text = done.stdout.decode("ascii", "replace")
    if done.returncode or not text.startswith("-----BEGIN SSH SIGNATURE-----"):
        raise ConfigError(
            "ssh-keygen did not sign",
            where=key,
            found=_last_line(done.stderr) or f"exit code {done.returncode}",
            hint="name a key of yours with --key; a key that an agent holds is named by its public file",
        )
    return text


def signer_of(approval: Approval, signers: str) -> frozenset[str]:
    """All names under which a list of signers (its text) knows the key that signed, once the signature is checked; none where it does not hold, or where
    the list does not know the key (any more), or not for this.
    """
    with tempfile.TemporaryDirectory(prefix="amsctl-approval-") as folder:
        listed, signature = os.path.join(folder, "signers"), os.path.join(folder, "signature")
        for path, text in ((listed, signers), (signature, approval.signature)):
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(text)
        found = _keygen(["-Y", "find-principals", "-f", listed, "-s", signature], b"")
        told = found.stdout.decode("utf-8", "replace").split("\n") if not found.returncode else []
        names = [name for name in told if name and not _stands_for_many(name)]
        holds = any(_verifies(approval, name, listed, signature) for name in names)
        return frozenset(names) if holds else frozenset()


def _verifies(approval: Approval, name: str, listed: str, signature: str) -> bool:
    arguments = ["-Y", "verify", "-n", NAMESPACE, "-I", name, "-f", listed, "-s", signature]
    return _keygen(arguments, approval.statement.to_sign()).returncode == 0


def _stands_for_many(name: str) -> bool:
    """A pattern names nobody: whose approval would it be?"""
    return name.startswith("!") or bool({"*", "?"} & set(name))


def people_in(signers: str) -> Mapping[str, frozenset[str]]:
    """The keys of a list of signers, each with all the names that it is listed under, patterns left out; who could approve."""
    found: dict[str, frozenset[str]] = {}
    for words in map(str.split, signers.splitlines()):
        if len(words) < 3 or words[0].startswith("#"):
            continue
        names = frozenset(name for name in words[0].strip('"').split(",") if name and not _stands_for_many(name))
        key = next((word for word in words[1:] if word.startswith("AAAA")), "")
        found[key] = found.get(key, frozenset()) | names
    return {key: names for key, names in found.items() if names}


def _keygen(arguments: Sequence[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen. Of this process's environment, where secrets are, it is given only what it needs."""
    environ = {name: value for name, value in os.environ.items() if name in _NEEDS}
    try:
        return subprocess.run(  # noqa: S603  no shell
            ["ssh-keygen", *arguments],  # noqa: S607  found where the user's PATH has it
            input=given,
            capture_output=True,
            env={**environ, "LC_ALL": "C"},
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError(
            "approvals need OpenSSH's ssh-keygen, and it is not here", hint="install it (Debian: openssh-client), version 8.9 or newer"
        ) from None
    except (OSError, subprocess.TimeoutExpired):
        raise ApprovalMissing("ssh-keygen could not be run, so no signature could be made or checked", hint="try again") from None


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
