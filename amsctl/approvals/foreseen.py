"""Whether a signature with a key would count, known before a person is asked and before anything is signed: no one enters a passphrase or touches a token
for an approval that is then refused.

Whose key it is, its public half says. Whether a line's options let it sign now is ssh-keygen's to say, once there is a signature.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from amsctl.approvals.keys import NotAKey, PublicKey, key_of, public_key
from amsctl.approvals.signatures import NAMESPACE, Checked, Held, Keygen
from amsctl.approvals.signers import SignerList, names_behind
from amsctl.regular import read_regular

_MOST_KEY: Final = 64 * 1024
_LABEL: Final = rb"OPENSSH PRIVATE KEY-----"
_PRIVATE: Final = re.compile(rb"-----BEGIN %b\s([A-Za-z0-9+/=\s]+)-----END %b\s*" % (_LABEL, _LABEL))
_MAGIC: Final = b"openssh-key-v1\0"


@dataclass(frozen=True, slots=True)
class Foresight(Keygen):
    """An ssh-keygen that signs nothing: of a signature with ``key`` it says what the lists say of the key. Commits it checks as any other."""

    key: PublicKey

    def sign(self, message: bytes, key: str) -> str:
        """No signature."""
        return ""

    def check(self, message: bytes, signature: bytes, lists: Sequence[SignerList], *, namespace: str) -> Checked:
        """What the lists say of the key, where it is about an approval."""
        if namespace != NAMESPACE:
            return Keygen.check(self, message, signature, lists, namespace=namespace)
        held = tuple(self._by(one) for one in lists)
        return Checked(key=self.key, behind=names_behind(self.key, lists), held=held)

    def _by(self, listed: SignerList) -> Held:
        names = listed.to_try(self.key)
        return Held(place=listed.place, names=names, reason="" if names else "the list of signers lacks the key")


def foresight(keygen: Keygen, key: str) -> Keygen:
    """What tells whether a signature with the key in the file ``key`` would count; ssh-keygen itself where its public half is not to be read."""
    for found in _public_halves(key):
        return Foresight(keygen.program, keygen.environ, found)
    return keygen


def _public_halves(key: str) -> Iterator[PublicKey]:
    """The public half of a key, where ssh-keygen looks for it: in the file, then in the one beside it."""
    for path in (key, f"{key}.pub"):
        with contextlib.suppress(OSError, ValueError):  # NotAKey is one
            yield _half(read_regular(path, _MOST_KEY))


def _half(content: bytes) -> PublicKey:
    private = _PRIVATE.fullmatch(content)
    if private is None:
        words = content.decode("ascii").split(maxsplit=2)
        if len(words) < 2:
            raise NotAKey("it is no public key")
        return public_key(words[0], words[1])
    try:
        blob = base64.b64decode(b"".join(private[1].split()), validate=True)
    except binascii.Error:
        raise NotAKey("the key is not Base64") from None
    rest = blob.removeprefix(_MAGIC)
    if rest == blob:
        raise NotAKey("it is no key of OpenSSH")
    for _ in range(3):  # cipher, how the key of it is made, and with what
        rest = rest[4 + int.from_bytes(rest[:4], "big") :]
    rest = rest[4:]  # how many keys: one
    return key_of(rest[4 : 4 + int.from_bytes(rest[:4], "big")])
