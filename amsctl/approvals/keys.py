"""Public keys, certificates and signatures of OpenSSH, read byte by byte (PROTOCOL.certkeys, PROTOCOL.sshsig): whose key it is, never whether a signature
holds.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

_CERTIFICATE: Final = "-cert-v01@openssh.com"
_MAGIC: Final = b"SSHSIG"
_MOST_SIGNATURE: Final = 64 * 1024
_ARMOR: Final = re.compile(rb"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/=]{1,76}\n)+)-----END SSH SIGNATURE-----\n?")

# The strings that follow the type in a key, and the one among them that tells keys apart. An exponent, or the application of a token, makes no other
# person: who has the secret half of one has that of the other.
_FIELDS: Final = {
    "ssh-ed25519": (1, 0),
    "ssh-rsa": (2, 1),
    "ssh-dss": (4, 3),
    "ecdsa-sha2-nistp256": (2, 1),
    "ecdsa-sha2-nistp384": (2, 1),
    "ecdsa-sha2-nistp521": (2, 1),
    "sk-ssh-ed25519@openssh.com": (2, 0),
    "sk-ecdsa-sha2-nistp256@openssh.com": (3, 1),
}
KEY_TYPES: Final = frozenset(_FIELDS) | frozenset(f"{name.removesuffix('@openssh.com')}{_CERTIFICATE}" for name in _FIELDS)
_PLAIN: Final = {f"{name.removesuffix('@openssh.com')}{_CERTIFICATE}": name for name in _FIELDS}
_NUMBERS: Final = frozenset({"ssh-rsa", "ssh-dss"})


class NotAKey(ValueError):
    """The bytes are no key, certificate or signature that OpenSSH would take; the text says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key or a certificate. ``identity`` is the same for every spelling of one key, of a certificate that of the key inside. ``principals`` are those
    that a certificate names, and ``authority`` the identity of the key that signed it; none of a plain key.
    """

    identity: str
    principals: tuple[str, ...] = ()
    authority: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureText:
    """An armored signature as it was read: the key that it says made it, the namespace, and the same bytes armored anew, which is what is verified."""

    key: PublicKey
    namespace: str
    armored: bytes


class _Bytes:
    """Reads the strings and numbers of OpenSSH's wire format; NotAKey where they end too early."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, count: int) -> bytes:
        piece = self._content[self._at : self._at + count]
        if len(piece) != count:
            raise NotAKey("it is cut short")
        self._at += count
        return piece

    def string(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def text(self) -> str:
        try:
            return self.string().decode("utf-8")
        except UnicodeDecodeError:
            raise NotAKey("a name in it is not UTF-8") from None

    def end(self) -> None:
        if self._at != len(self._content):
            raise NotAKey("something follows its end")


def public_key(kind: str, encoded: str) -> PublicKey:
    """The key that a line holds: its type and its Base64. NotAKey tells what is wrong."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NotAKey("the key is not Base64") from None
    said = _Bytes(content).text()
    if said != kind:
        raise NotAKey(f"it says {kind}, and the key is one of {said[:40] or 'no type'}")
    return key_of(content)


def key_of(content: bytes) -> PublicKey:
    """The key of a blob; NotAKey tells what is wrong."""
    reader = _Bytes(content)
    kind = reader.text()
    plain = _PLAIN.get(kind, kind)
    if plain not in _FIELDS:
        raise NotAKey(f"no type of key that is known: {kind[:40]}")
    if kind in _PLAIN:
        reader.string()  # the nonce
    count, telling = _FIELDS[plain]
    fields = [reader.string() for _ in range(count)]
    material = fields[telling].lstrip(b"\0") if plain in _NUMBERS else fields[telling]
    identity = f"{plain}:{material.hex()}"
    if kind not in _PLAIN:
        reader.end()
        return PublicKey(identity=identity)
    reader.take(8 + 4)  # serial number, whether it is of a user or a host
    reader.string()  # its id
    principals = _principals(reader.string())
    reader.take(8 + 8)  # from when, until when: ssh-keygen's to judge
    for _ in range(3):
        reader.string()  # critical options, extensions, what is reserved
    authority = key_of(reader.string())
    if authority.authority is not None:
        raise NotAKey("a certificate is signed by another certificate")
    reader.string()  # the authority's signature
    reader.end()
    return PublicKey(identity=identity, principals=principals, authority=authority.identity)


def _principals(content: bytes) -> tuple[str, ...]:
    found, rest = [], content
    while rest:
        reader = _Bytes(rest)
        found.append(reader.text())
        rest = rest[4 + len(found[-1].encode("utf-8")) :]
    return tuple(found)


def signature_text(armored: bytes) -> SignatureText:
    """What an armored signature says of itself. NotAKey where it is not exactly one."""
    match = _ARMOR.fullmatch(armored.replace(b"\r\n", b"\n"))
    if match is None or len(armored) > _MOST_SIGNATURE:
        raise NotAKey("it is no signature of OpenSSH")
    try:
        content = base64.b64decode(match[1].replace(b"\n", b""), validate=True)
    except (binascii.Error, ValueError):
        raise NotAKey("it is no signature of OpenSSH") from None
    reader = _Bytes(content)
    if reader.take(len(_MAGIC)) != _MAGIC or reader.take(4) != b"\0\0\0\1":
        raise NotAKey("it is no signature of OpenSSH")
    key, namespace = key_of(reader.string()), reader.text()
    for _ in range(3):
        reader.string()  # what is reserved, the hash, the signature itself
    reader.end()
    lines = base64.b64encode(content).decode("ascii")
    body = "\n".join(lines[at : at + 70] for at in range(0, len(lines), 70))
    text = f"-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n"
    return SignatureText(key=key, namespace=namespace, armored=text.encode("ascii"))
