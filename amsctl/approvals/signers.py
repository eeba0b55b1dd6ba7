"""Lists of signers (OpenSSH's allowed signers, ssh-keygen(1)), read by ourselves and whole: who people are is judged by every line of a key, whatever its
options. ``ssh-keygen -Y find-principals`` stops at the first line that fits, so it is never asked.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from amsctl.approvals.keys import KEY_TYPES, NotAKey, PublicKey, public_key
from amsctl.approvals.names import Identities, folded
from amsctl.errors import ApprovalMissing

MOST_BYTES: Final = 1024 * 1024
"""Of a list: some thousand people."""
_HINT: Final = 'write NAME namespaces="amsctl-approval,git" PUBLIC-KEY, a line for each who may approve (docs/howto/approvals.md)'
_PATTERN: Final = re.compile(r"[*?!]")
_OPTION: Final = re.compile(r'(?P<name>[A-Za-z-]+)(?:="(?P<value>(?:[^"\\]|\\")*)")?(?:,(?=.)|$)', re.DOTALL)
_SWITCHES: Final = frozenset({"cert-authority"})
_VALUES: Final = frozenset({"namespaces", "valid-after", "valid-before"})
_SEEN_AS_NOTHING: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_ALIKE: Final = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
"""Scripts that have letters which look like Latin ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerLine:
    """One line: the names as they are written, the key, whether it is one that signs certificates, and the options as written."""

    number: int
    names: tuple[str, ...]
    key: PublicKey
    authority: bool
    options: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerList:
    """A list, whole. ``place`` names it in messages, ``content`` are its bytes, which ssh-keygen is given."""

    place: str
    content: bytes
    lines: tuple[SignerLine, ...]

    def names_of(self, key: PublicKey) -> frozenset[str]:
        """Every name, as written, of every line of a key, whatever the line's options; of a certificate, of the key inside."""
        return frozenset(name for line in self.lines if line.key.identity == key.identity for name in line.names)

    def to_try(self, key: PublicKey) -> tuple[str, ...]:
        """The names under which ssh-keygen could find a key's signature good, in the order of the lines: those of its own lines, and of a certificate
        those that it and a line of its authority name.
        """
        found = dict.fromkeys(
            name for line in self.lines if line.key.identity == key.identity and not line.authority for name in line.names
        )
        if key.authority is not None:
            certified = (line for line in self.lines if line.authority and line.key.identity == key.authority)
            found |= dict.fromkeys(name for line in certified for name in line.names if name in key.principals)
        return tuple(found)

    def groups(self) -> Iterator[frozenset[str]]:
        """The names of each key that signs by itself: one person's. An authority's line names the people whom it certifies, who are not one."""
        keys = dict.fromkeys(line.key.identity for line in self.lines if not line.authority)
        for identity in keys:
            yield frozenset(name for line in self.lines if line.key.identity == identity and not line.authority for name in line.names)

    def people(self) -> tuple[frozenset[str], ...]:
        """Everybody whom the list names, each with all names, folded; those whom an authority certifies by one name each."""
        certified = ({name} for line in self.lines if line.authority for name in line.names)
        return Identities.of([*self.groups(), *certified]).people()


def names_behind(key: PublicKey, lists: Sequence[SignerList]) -> frozenset[str]:
    """Every name that the holder of a key could go by, over all lines of all lists: of a certificate also those that it names, and the names under which
    its authority's key signs by itself, since who holds that key makes certificates for anybody.
    """
    found = set(key.principals)
    for one in lists:
        found |= one.names_of(key)
        if key.authority is not None:
            found |= {name for line in one.lines if not line.authority and line.key.identity == key.authority for name in line.names}
    return frozenset(found)


# --- reading ---


def read_signers(root: str, path: str) -> SignerList:
    """The list at ``path`` below ``root``. ApprovalMissing where there is none, it is no plain file, a link leads to it, or it has no end."""
    return parse_signers(_content(root, path), path)


def link_refused(place: str) -> ApprovalMissing:
    """What is said of a list that a link leads to: whose list it is would not stand in the commit."""
    return _unreadable(place, "a link", "put the list itself there")


def _content(root: str, path: str) -> bytes:
    parts = path.split("/")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            _look(folder, part, path, stat.S_ISDIR)
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        _look(folder, parts[-1], path, stat.S_ISREG)
        with open(os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise _unreadable(path, "no plain file", _HINT)
            return stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__, _HINT) from None
    finally:
        os.close(folder)


def _look(folder: int, part: str, path: str, is_right: object) -> None:
    mode = os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        raise link_refused(path)
    assert callable(is_right)
    if not is_right(mode):
        raise _unreadable(path, "a folder" if stat.S_ISDIR(mode) else "no plain file", _HINT)


def _unreadable(place: str, found: str, hint: str) -> ApprovalMissing:
    return ApprovalMissing("the list of signers cannot be read", where=place, expected="a plain file", found=found, hint=hint)


# --- lines ---


def parse_signers(content: bytes, place: str) -> SignerList:
    """The list that these bytes are. ApprovalMissing, with the line, for whatever could name another person than a reader of the list sees: characters
    that are not seen, patterns, and lines that OpenSSH would not take.
    """
    if len(content) > MOST_BYTES:
        raise _unreadable(place, f"more than {MOST_BYTES:,} bytes", "a list of signers is shorter")
    lines = []
    for number, raw in enumerate(content.split(b"\n"), 1):
        text = _text(raw.removesuffix(b"\r"), f"{place}:{number}")
        if text.strip() and not text.strip().startswith("#"):
            lines.append(_line(text.strip(), number, f"{place}:{number}"))
    return SignerList(place=place, content=content, lines=tuple(lines))


def _text(raw: bytes, where: str) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _refusal(where, "UTF-8", "bytes that are not") from None
    for letter in text:
        if letter not in " \t" and (unicodedata.category(letter)[0] in "CZ" or _SEEN_AS_NOTHING.match(letter)):
            _refuse(where, "characters that can be seen, and plain blanks", f"\\u{{{ord(letter):X}}}")
    return text


def _line(text: str, number: int, where: str) -> SignerLine:
    written, rest = _names_field(text, where)
    options = ""
    if rest.split(maxsplit=1)[0] not in KEY_TYPES if rest else True:
        options, rest = _options_field(rest, where)
    words = rest.split(maxsplit=2)
    if len(words) < 2:
        _refuse(where, "NAMES [OPTIONS] KEY-TYPE KEY", text[:60])
    try:
        key = public_key(words[0], words[1])
    except NotAKey as problem:
        _refuse(where, "a public key as OpenSSH writes it", str(problem))
    return SignerLine(
        number=number, names=_names(written, where), key=key, authority="cert-authority" in _option_names(options, where), options=options
    )


def _names_field(text: str, where: str) -> tuple[str, str]:
    if text.startswith('"'):
        names, quote, rest = text[1:].partition('"')
        if not quote or (rest and rest[0] not in " \t"):
            _refuse(where, "a closing quote, and a blank behind it", text[:60])
        return names, rest.strip()
    words = text.split(maxsplit=1)
    if '"' in words[0]:
        _refuse(where, "quotes around all names or none", words[0][:60])
    return words[0], words[1] if len(words) > 1 else ""


def _names(written: str, where: str) -> tuple[str, ...]:
    names = tuple(written.split(","))
    for name in names:
        if not name or name != name.strip() or "  " in name or "\t" in name:
            _refuse(where, "names with commas between them, and no blanks around", written[:60] or "no name")
        if _PATTERN.search(name):
            _refuse(where, "names of people: a pattern is no person", name[:60], hint="write each name")
        scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in name if letter.isalpha()}
        if "LATIN" in scripts and scripts & _ALIKE:
            _refuse(where, "letters of one script in a name", f"{name[:60]} ({', '.join(sorted(scripts)).lower()})")
    return names


def _options_field(rest: str, where: str) -> tuple[str, str]:
    quoted, at = False, 0
    while at < len(rest) and (quoted or rest[at] not in " \t"):
        if rest.startswith('\\"', at):
            at += 1
        elif rest[at] == '"':
            quoted = not quoted
        at += 1
    if quoted or not rest[:at]:
        _refuse(where, "NAMES [OPTIONS] KEY-TYPE KEY", rest[:60] or "no key")
    return rest[:at], rest[at:].strip()


def _option_names(options: str, where: str) -> frozenset[str]:
    found: list[str] = []
    at = 0
    while at < len(options):
        match = _OPTION.match(options, at)
        if match is None:
            _refuse(where, "options as in ssh-keygen(1)", options[at : at + 60])
        name = match["name"].lower()
        if name not in (_SWITCHES if match["value"] is None else _VALUES):
            _refuse(where, ", ".join(sorted(_SWITCHES | _VALUES)), match[0][:60])
        if name in found:
            _refuse(where, "each option once", name)
        found.append(name)
        at = match.end()
    return frozenset(found)


def _refusal(where: str, expected: str, found: str, hint: str = _HINT) -> ApprovalMissing:
    return ApprovalMissing("the list of signers cannot be used", where=where, expected=expected, found=found, hint=hint)


def _refuse(where: str, expected: str, found: str, hint: str = _HINT) -> NoReturn:
    raise _refusal(where, expected, found, hint)


def name_in(names: Sequence[str] | frozenset[str], name: str) -> bool:
    """Whether a name is among others, as names are compared."""
    return folded(name) in {folded(one) for one in names}
