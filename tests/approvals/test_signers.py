"""Lists of signers: who people are is judged by every line of a key, whether a signature holds by ssh-keygen, and a list that could deceive is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from amsctl.approvals.keys import NotAKey, PublicKey, key_of, public_key, signature_text
from amsctl.approvals.names import Identities, folded
from amsctl.approvals.signatures import NAMESPACE, Checked, Keygen, find_keygen
from amsctl.approvals.signers import MOST_BYTES, SignerList, parse_signers, read_signers
from amsctl.errors import ApprovalMissing, ConfigError
from tests.approvals.repository import line, make_keys
from tests.wants import missing

MESSAGE = b"a statement"
OURS = 'namespaces="amsctl-approval"'


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    if shutil.which("ssh-keygen") is None:
        missing("openssh", "ssh-keygen is not here")
    return make_keys(tmp_path_factory.mktemp("signer-keys"))


@pytest.fixture(scope="session")
def keygen(keys: Mapping[str, Path]) -> Keygen:
    return find_keygen(os.environ, outside=None)


def listed(text: str | bytes, place: str = "approvers") -> SignerList:
    return parse_signers(text if isinstance(text, bytes) else text.encode(), place)


def signed(keygen: Keygen, key: Path) -> bytes:
    return keygen.sign(MESSAGE, str(key)).encode()


def check(keygen: Keygen, key: Path, *lists: SignerList, namespace: str = NAMESPACE) -> Checked:
    return keygen.check(MESSAGE, signed(keygen, key), lists, namespace=namespace)


def key_text(keys: Mapping[str, Path], who: str) -> str:
    return " ".join(keys[who].with_suffix(".pub").read_text().split()[:2])


# --- who people are ---


@pytest.mark.parametrize(
    "second",
    [OURS, 'namespaces="git"', 'valid-before="20200101"', 'valid-after="29990101"', "cert-authority", "", 'CERT-AUTHORITY,NameSpaces="x"'],
)
@pytest.mark.parametrize("first", [True, False], ids=["below", "above"])
def test_all_lines_of_a_key_name_one_person(keys: Mapping[str, Path], keygen: Keygen, second: str, first: bool) -> None:
    """A second line of a key names its holder whatever its options and wherever it stands (W1): git's order of lines hides no name."""
    home, firm = line(keys, "jo", "jo@home.example", OURS), line(keys, "jo", "jo@firm.example", second)
    found = check(keygen, keys["jo"], listed(home + firm if first else firm + home))
    assert {"jo@home.example", "jo@firm.example"} <= found.behind
    assert "jo@home.example" in found.held[0].names


def test_names_are_gathered_over_all_lists(keys: Mapping[str, Path], keygen: Keygen) -> None:
    """The lists of two commits name one key differently: it is one person."""
    here, there = listed(line(keys, "jo", "boss@firm.example")), listed(line(keys, "jo", "jo@firm.example"), "base")
    found = check(keygen, keys["jo"], here, there)
    assert found.behind == {"boss@firm.example", "jo@firm.example"}
    assert [one.names for one in found.held] == [("boss@firm.example",), ("jo@firm.example",)]


def test_keys_that_share_a_name_are_one_person(keys: Mapping[str, Path]) -> None:
    """A laptop's and a desktop's key count once, also where the name is spelled in capitals or in compatible letters."""
    text = (
        line(keys, "sam", "sam@firm.example,sam-gh") + line(keys, "kim", "SAM@firm.example") + line(keys, "lee", "ｓａｍ@firm.example,pat")
    )
    people = Identities.of(listed(text).groups())
    assert people.person(["pat"]) == {"sam@firm.example", "sam-gh", "pat"}
    assert len(people.people()) == 1


def test_an_authority_names_people_who_are_not_one(keys: Mapping[str, Path]) -> None:
    """Those whom a certificate authority may certify stay apart."""
    text = line(keys, "lee", "sam@firm.example,kim@firm.example", "cert-authority")
    assert listed(text).people() == (frozenset({"kim@firm.example"}), frozenset({"sam@firm.example"}))


def test_hidden_addresses_name_their_account() -> None:
    """The forge's address of an account is the account."""
    people = Identities.of([["1234+Sam-GH@users.noreply.github.com"], ["77-kim@users.noreply.gitlab.example"]])
    assert "sam-gh" in people.person(["1234+sam-gh@users.noreply.github.com"])
    assert "kim" in people.person(["77-kim@users.noreply.gitlab.example"])


# --- whether a signature holds ---


def test_a_first_line_for_git_alone_locks_no_one_out(keys: Mapping[str, Path], keygen: Keygen) -> None:
    """ssh-keygen is asked for each name of the key, so a line for another purpose above is passed over (W1b)."""
    text = line(keys, "sam", "sam@home.example", 'namespaces="git"') + line(keys, "sam", "sam@firm.example")
    assert check(keygen, keys["sam"], listed(text)).held[0].names == ("sam@firm.example",)


def test_local_times_are_those_of_ssh_keygen(keys: Mapping[str, Path]) -> None:
    """valid-before without Z is a local time: TZ decides as it does for ssh-keygen in the same shell (W1c)."""
    now = subprocess.run(["date", "-u", "+%Y%m%d%H%M%S"], capture_output=True, text=True, check=True).stdout.strip()
    text = listed(line(keys, "sam", options=f'{OURS},valid-before="{now}"'))
    holds = {}
    for zone in ("Pacific/Auckland", "America/Chicago"):
        keygen = find_keygen({**os.environ, "TZ": zone}, outside=None)
        holds[zone] = bool(check(keygen, keys["sam"], text).held[0].names)
    assert holds == {"Pacific/Auckland": False, "America/Chicago": True}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ('namespaces="git"', "namespace"),
        (f'{OURS},valid-before="20200101"', "expired"),
        (f'{OURS},valid-after="29990101"', "not yet valid"),
        ('namespaces="amsctl-*,!amsctl-approval"', "namespace"),
    ],
)
def test_the_reason_of_ssh_keygen_is_shown(keys: Mapping[str, Path], keygen: Keygen, options: str, says: str) -> None:
    """What does not hold says why in ssh-keygen's own words, with the place in the list and no file of ours."""
    (held,) = check(keygen, keys["sam"], listed("# people\n" + line(keys, "sam", options=options))).held
    assert held.names == ()
    assert says in held.reason
    assert "approvers:2" in held.reason
    assert "/tmp" not in held.reason


def test_another_message_does_not_hold(keys: Mapping[str, Path], keygen: Keygen) -> None:
    """One byte of what was signed is another."""
    (held,) = keygen.check(MESSAGE + b".", signed(keygen, keys["sam"]), [listed(line(keys, "sam"))], namespace=NAMESPACE).held
    assert held.names == ()
    assert "incorrect signature" in held.reason.lower() or "verify" in held.reason.lower(), held.reason


def test_a_key_that_no_list_knows(keys: Mapping[str, Path], keygen: Keygen) -> None:
    found = check(keygen, keys["mallory"], listed(line(keys, "sam")))
    assert (found.behind, found.held[0].names, found.held[0].reason) == (frozenset(), (), "the list of signers lacks the key")


@pytest.mark.parametrize("kind", [["rsa", "-b", "2048"], ["ecdsa", "-b", "256"], ["ecdsa", "-b", "521"], ["ed25519"]], ids=str)
def test_every_kind_of_key(kind: list[str], keygen: Keygen, tmp_path: Path) -> None:
    """RSA, ECDSA and Ed25519 are read and verified alike; quotes, CRLF, comments and blanks as OpenSSH takes them."""
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", str(tmp_path / "key")], check=True)
    words = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    text = f'# who\r\n\r\n  "sam@firm.example,Sam Smith"\t{OURS},valid-after="20200101Z"   {words} a comment = "x"\r\n'
    found = check(keygen, tmp_path / "key", listed(text))
    assert found.held[0].names == ("sam@firm.example", "Sam Smith")


def certificate(keys: Mapping[str, Path], folder: Path, authority: str, who: str, principals: str) -> Path:
    """A certificate for a copy of somebody's key; the copy, which signs with it."""
    key = folder / who
    for suffix in ("", ".pub"):
        shutil.copy(f"{keys[who]}{suffix}", f"{key}{suffix}")
    key.chmod(0o600)
    names = ["-n", principals] if principals else []
    subprocess.run(["ssh-keygen", "-q", "-s", str(keys[authority]), "-I", "id", *names, str(key.with_suffix(".pub"))], check=True)
    return folder / f"{who}-cert.pub"


def signed_by_certificate(keygen: Keygen, certified: Path) -> bytes:
    """A signature that carries the certificate: ssh-keygen makes it where the certificate lies beside the key."""
    key = str(certified).removesuffix("-cert.pub")
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(certified)], input=MESSAGE, capture_output=True, check=False
    )
    assert done.returncode == 0, (key, done.stderr)
    return done.stdout


def test_a_certificate_names_all_its_principals(keys: Mapping[str, Path], keygen: Keygen, tmp_path: Path) -> None:
    """One that names the author and another person is the author's, too, although the list lets the other person alone be certified."""
    certified = certificate(keys, tmp_path, "lee", "jo", "jo@firm.example,kim@firm.example")
    text = line(keys, "lee", "kim@firm.example", f"cert-authority,{OURS}")
    found = keygen.check(MESSAGE, signed_by_certificate(keygen, certified), [listed(text)], namespace=NAMESPACE)
    assert found.held[0].names == ("kim@firm.example",)
    assert found.behind == {"jo@firm.example", "kim@firm.example"}


def test_a_certificate_is_the_key_inside(keys: Mapping[str, Path], keygen: Keygen, tmp_path: Path) -> None:
    """The lines of the certified key name its holder, and those under which the authority's key signs by itself name who could have made it."""
    certified = certificate(keys, tmp_path, "lee", "jo", "kim@firm.example")
    text = (
        line(keys, "lee", "kim@firm.example", f"cert-authority,{OURS}")
        + line(keys, "jo")
        + line(keys, "lee", "lee@firm.example", 'namespaces="git"')
    )
    found = keygen.check(MESSAGE, signed_by_certificate(keygen, certified), [listed(text)], namespace=NAMESPACE)
    assert {"jo@firm.example", "lee@firm.example", "kim@firm.example"} <= found.behind


def test_a_certificate_for_nobody_or_for_others_does_not_hold(keys: Mapping[str, Path], keygen: Keygen, tmp_path: Path) -> None:
    text = line(keys, "lee", "kim@firm.example", f"cert-authority,{OURS}")
    for number, principals in enumerate(("", "sam@firm.example")):
        folder = tmp_path / str(number)
        folder.mkdir()
        certified = certificate(keys, folder, "lee", "jo", principals)
        found = keygen.check(MESSAGE, signed_by_certificate(keygen, certified), [listed(text)], namespace=NAMESPACE)
        assert found.held[0].names == ()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"trust me",
        b"-----BEGIN SSH SIGNATURE-----\n!!!!\n-----END SSH SIGNATURE-----\n",
        b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        b"-----BEGIN PGP SIGNATURE-----\nAAAA\n-----END PGP SIGNATURE-----\n",
    ],
)
def test_what_is_no_signature(text: bytes, keys: Mapping[str, Path], keygen: Keygen) -> None:
    """It is told, and no program is asked."""
    found = keygen.check(MESSAGE, text, [listed(line(keys, "sam"))], namespace=NAMESPACE)
    assert (found.key, found.held[0].names) == (None, ())
    assert found.problem


def test_two_signatures_in_one_file_are_none(keys: Mapping[str, Path], keygen: Keygen) -> None:
    """What ssh-keygen verifies is exactly what was read: a second block behind the first could be another key's."""
    two = signed(keygen, keys["sam"]) + signed(keygen, keys["jo"])
    assert keygen.check(MESSAGE, two, [listed(line(keys, "sam"))], namespace=NAMESPACE).key is None


# --- lists that are refused ---

REFUSED: dict[str, tuple[str, str]] = {
    "a byte order mark": ("\ufeff{jo}", "approvers:1"),
    "a no-break space before a name": ("\u00a0{jo}", "approvers:1"),
    "a no-break space in a comment": ("# a\u00a0b\n{jo}", "approvers:1"),
    "a space of no width": ("{sam}jo@firm\u200b.example {o} {k}\n", "approvers:2"),
    "a word joiner": ("{sam}jo\u2060@firm.example {o} {k}\n", "approvers:2"),
    "a soft hyphen": ("jo\u00ad@firm.example {o} {k}\n", "approvers:1"),
    "an override of direction": ("\u202ejo@firm.example {o} {k}\n", "approvers:1"),
    "an isolate of direction": ("jo@firm.example\u2066 {o} {k}\n", "approvers:1"),
    "a control character": ("jo@firm.example\x07 {o} {k}\n", "approvers:1"),
    "a NUL": ("jo@firm.example\0 {o} {k}\n", "approvers:1"),
    "a carriage return inside": ("# a\rjo@firm.example {o} {k}\n", "approvers:1"),
    "a vertical tab": ("jo@firm.example\x0b{o} {k}\n", "approvers:1"),
    "a next line": ("# a\u0085jo@firm.example {o} {k}\n", "approvers:1"),
    "a line separator": ("# a\u2028jo@firm.example {o} {k}\n", "approvers:1"),
    "an ideographic space": ("jo@firm.example\u3000{o} {k}\n", "approvers:1"),
    "a Hangul filler": ("jo\u3164@firm.example {o} {k}\n", "approvers:1"),
    "a selector of variants": ("jo\ufe0f@firm.example {o} {k}\n", "approvers:1"),
    "a tag": ("jo\U000e0041@firm.example {o} {k}\n", "approvers:1"),
    "a private character": ("jo\ue000@firm.example {o} {k}\n", "approvers:1"),
    "a letter of another script": ("j\u043e@firm.example {o} {k}\n", "one script"),
    "a pattern": ("*@firm.example {o} {k}\n", "a pattern is no person"),
    "a pattern of one letter": ("j?@firm.example {o} {k}\n", "a pattern is no person"),
    "a name that is excluded": ("jo@firm.example,!sam@firm.example {o} {k}\n", "a pattern is no person"),
    "a pattern of an authority": ("*@firm.example cert-authority {k}\n", "a pattern is no person"),
    "no key": ("jo@firm.example\n", "approvers:1"),
    "no key behind options": ("jo@firm.example {o}\n", "approvers:1"),
    "no names": ("{k}\n", "approvers:1"),
    "an unknown option": ("jo@firm.example strict {k}\n", "cert-authority"),
    "an option without its value": ("jo@firm.example namespaces {k}\n", "cert-authority"),
    "a switch with a value": ('jo@firm.example cert-authority="x" {k}\n', "cert-authority"),
    "an option twice": ('jo@firm.example valid-before="20300101",valid-before="20310101" {k}\n', "each option once"),
    "an open quote": ('"jo@firm.example {o} {k}\n', "approvers:1"),
    "an open quote of an option": ('jo@firm.example namespaces="git {k}\n', "approvers:1"),
    "a quote inside names": ('jo"@firm.example {o} {k}\n', "quotes around all names"),
    "no blank behind a quote": ('"jo@firm.example"{o} {k}\n', "approvers:1"),
    "an empty name": ("jo@firm.example,,sam {o} {k}\n", "commas between them"),
    "a blank before a quoted name": ('"sam@firm.example, jo@firm.example" {o} {k}\n', "commas between them"),
    "another type than the key's": ("jo@firm.example {o} ssh-rsa {b}\n", "says ssh-rsa"),
    "a key that is no Base64": ("jo@firm.example {o} ssh-ed25519 AAAA!\n", "not Base64"),
    "a key that is cut": ("jo@firm.example {o} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n", "cut short"),
    "a key that goes on": ("jo@firm.example {o} ssh-ed25519 {long}\n", "follows its end"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_list_that_could_deceive_is_refused(name: str, keys: Mapping[str, Path]) -> None:
    """Whoever reads the list and whoever judges by it see the same people, or it is refused, with file and line (W2)."""
    import base64

    text, says = REFUSED[name]
    key = key_text(keys, "jo")
    blob = key.split()[1]
    longer = base64.b64encode(base64.b64decode(blob) + b"\0").decode()
    filled = text.replace("{jo}", line(keys, "jo")).replace("{sam}", line(keys, "sam")).replace("{o}", OURS).replace("{k}", key)
    with pytest.raises(ApprovalMissing) as refused:
        listed(filled.replace("{b}", blob).replace("{long}", longer))
    assert says in str(refused.value), str(refused.value)
    assert "approvers:" in str(refused.value)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(ApprovalMissing, match="approvers:2"):
        listed(b"# people\njo\xff ssh-ed25519 AAAA\n")


def test_letters_with_accents_are_names(keys: Mapping[str, Path]) -> None:
    """A name of one script is one, composed or not."""
    composed, apart = listed(line(keys, "jo", "jörg@firm.example")), listed(line(keys, "sam", "jo\u0308rg@firm.example"))
    assert folded(composed.lines[0].names[0]) == folded(apart.lines[0].names[0])


# --- the file ---


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.symlink_to("/dev/zero"), "a link"),
        (lambda path: path.symlink_to(path.parent / "real"), "a link"),
        (lambda path: path.mkdir(), "a folder"),
        (lambda path: os.mkfifo(path), "no plain file"),
        (lambda path: path.write_bytes(b"#" * (MOST_BYTES + 1)), "more than"),
    ],
    ids=["missing", "device", "link", "folder", "pipe", "endless"],
)
def test_what_is_no_list(make: object, says: str, tmp_path: Path) -> None:
    """A link, a folder, a pipe, a device or a file without end is refused by name, at once."""
    (tmp_path / "real").write_text("# nobody\n")
    (tmp_path / "inside").mkdir()
    assert callable(make)
    make(tmp_path / "inside" / "approvers")
    with pytest.raises(ApprovalMissing) as refused:
        read_signers(str(tmp_path), "inside/approvers")
    assert says in str(refused.value)
    assert "inside/approvers" in str(refused.value)


def test_a_folder_that_is_a_link(tmp_path: Path, keys: Mapping[str, Path]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "approvers").write_text(line(keys, "sam"))
    (tmp_path / "inside").symlink_to("real")
    with pytest.raises(ApprovalMissing, match="a link"):
        read_signers(str(tmp_path), "inside/approvers")
    assert read_signers(str(tmp_path), "real/approvers").people() == (frozenset({"sam@firm.example", "sam-gh"}),)


# --- keys ---


def test_one_key_has_one_identity(keys: Mapping[str, Path]) -> None:
    """Leading zeros, or another exponent, of an RSA key make no second person."""

    def text(*fields: bytes) -> bytes:
        return b"".join(len(field).to_bytes(4, "big") + field for field in fields)

    plain = key_of(text(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 256))
    assert key_of(text(b"ssh-rsa", b"\1\0\1", b"\0\0\0" + b"\xff" * 256)).identity == plain.identity
    assert key_of(text(b"ssh-rsa", b"\3", b"\0" + b"\xff" * 256)).identity == plain.identity
    assert key_of(text(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xfe" * 256)).identity != plain.identity
    assert public_key(*key_text(keys, "jo").split()) == PublicKey(identity=public_key(*key_text(keys, "jo").split()).identity)


@pytest.mark.parametrize("content", [b"", b"\0\0\0\7ssh-new", b"\0\0\0\1\xff", b"\xff\xff\xff\xff"])
def test_bytes_that_are_no_key(content: bytes) -> None:
    with pytest.raises(NotAKey):
        key_of(content)


def test_a_certificate_signed_by_a_certificate(keys: Mapping[str, Path], tmp_path: Path) -> None:
    """No authority is itself certified: whose key it is would stand nowhere."""
    import base64

    certified = certificate(keys, tmp_path, "lee", "jo", "jo@firm.example")
    blob = base64.b64decode(certified.read_text().split()[1])
    found = key_of(blob)
    assert (found.principals, found.authority) == (
        ("jo@firm.example",),
        key_of(base64.b64decode(key_text(keys, "lee").split()[1])).identity,
    )
    authority = base64.b64decode(key_text(keys, "lee").split()[1])
    chained = blob.replace(len(authority).to_bytes(4, "big") + authority, len(blob).to_bytes(4, "big") + blob)
    with pytest.raises(NotAKey, match="another certificate"):
        key_of(chained)


def test_a_signature_is_armored_anew(keys: Mapping[str, Path], keygen: Keygen) -> None:
    """Line ends and widths of the armor say nothing; the bytes inside are what is verified."""
    text = signed(keygen, keys["sam"])
    assert signature_text(text.replace(b"\n", b"\r\n")).armored == text
    assert signature_text(text).namespace == NAMESPACE


# --- the program ---


def test_no_program_of_the_repository_runs(keys: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ssh-keygen is not looked for in relative folders, nor in or by a link into the repository."""
    repository = tmp_path / "repository"
    (repository / "bin").mkdir(parents=True)
    canary = repository / "bin" / "ssh-keygen"
    canary.write_text("#!/bin/sh\ntouch ran\nexit 0\n")
    canary.chmod(0o755)
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "ssh-keygen").symlink_to(canary)
    monkeypatch.chdir(repository)
    path = os.pathsep.join(["bin", "", ".", str(repository / "bin"), str(tmp_path / "outer"), os.environ["PATH"]])
    keygen = find_keygen({**os.environ, "PATH": path, "SSH_ASKPASS": str(canary), "CANARY": "secret"}, outside=str(repository))
    assert keygen.program == shutil.which("ssh-keygen")
    assert not {"SSH_ASKPASS", "CANARY"} & keygen.environ.keys()
    assert "repository" not in keygen.environ["PATH"]
    with pytest.raises(ConfigError, match="it is not here"):
        find_keygen({"PATH": f"bin::{repository / 'bin'}"}, outside=str(repository))


def test_the_agent_is_kept(keys: Mapping[str, Path]) -> None:
    """A key that an agent holds signs; nothing else of the environment goes along."""
    environ = {"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": "/run/agent", "TZ": "UTC", "SSH_ASKPASS": "/usr/bin/ask", "SECRET": "x"}
    assert find_keygen(environ, outside=None).environ.keys() == {"PATH", "SSH_AUTH_SOCK", "TZ", "SSH_ASKPASS", "LC_ALL"}


def test_a_program_that_fails_says_so(tmp_path: Path) -> None:
    with pytest.raises(ApprovalMissing, match="could not be run"):
        Keygen(str(tmp_path / "none"), {}).sign(b"x", "key")
