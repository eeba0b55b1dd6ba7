"""One AMS has one address, however it is spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsctl.manifests.addresses import judge_url
from amsctl.wire.addresses import normalised

ONE = "https://ams.example/rest/v2"
SPELLINGS = (
    "https://ams.example/rest/v2/", "https://ams.example/rest/v2//", "HTTPS://ams.example/rest/v2", "https://AMS.Example/rest/v2",
    "https://ams.example./rest/v2", "https://ams.example:443/rest/v2", "https://ams.example:0443/rest/v2", "https://ams.example:/rest/v2",
    "https://ams.example/rest/./v2", "https://ams.example/x/../rest/v2", "https://ams.example/../rest/v2/.", "https://ams.example/rest/x/%2E%2e/v2",
    "https://ams.example/%72est/v2", "https://ams.example/rest/%762", "https://am%73.example/rest/v2", "https://ams.example/rest/v2/x/..",
)  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_is_the_address(spelling: str) -> None:
    """Capitals, last dots, usual ports, dot segments and needless encodings make no second AMS (RFC 3986 §6.2)."""
    assert normalised(spelling) == ONE


@pytest.mark.parametrize(
    ("spelling", "one"),
    [
        ("http://127.1/a", "http://127.0.0.1/a"),
        ("http://2130706433/a", "http://127.0.0.1/a"),
        ("http://0x7f.0.0.1/a", "http://127.0.0.1/a"),
        ("http://0177.0.0.1:80/a", "http://127.0.0.1/a"),
        ("http://[0:0:0:0:0:0:0:1]/a", "http://[::1]/a"),
        ("http://[::ffff:127.0.0.1]:8480/a", "http://127.0.0.1:8480/a"),
        ("http://[2001:DB8::0:1]/a", "http://[2001:db8::1]/a"),
        ("http://1.2.3.999/a", "http://1.2.3.999/a"),
        ("http://[fe80::1%25eth0]/a", "http://[fe80::1%25eth0]/a"),
    ],
)
def test_a_number_is_a_host(spelling: str, one: str) -> None:
    """A host that is a number is that number, as the resolver reads it."""
    assert normalised(spelling) == one


@pytest.mark.parametrize(
    "other", ["http://ams.example/rest/v2", "https://ams.example:8443/rest/v2", "https://ams.example/rest/V2", "https://b.example/rest/v2"]
)
def test_another_address_stays_another(other: str) -> None:
    """Scheme, port, path and host tell servers apart."""
    assert normalised(other) == other != ONE


@pytest.mark.parametrize("text", ["https://[::1/rest", "https://h:port/", "https://./rest/v2", "https:///rest", "", "nothing"])
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    """The judge of addresses names what is wrong with it."""
    assert normalised(text) == text
    assert judge_url("url", text, credentials=False) is not None


@given(st.text(alphabet="aA.:/%2eE5[]0x;~", max_size=24))
def test_it_is_settled_at_once(rest: str) -> None:
    """What was normalised once does not change again: the ledger may do it to what a plan or an older record says."""
    once = normalised(f"https://h{rest}")
    assert normalised(once) == once


@pytest.mark.parametrize("path", ["/rest//v2", "/rest;a=b/v2", "/rest/v2;a", "/rest%2Fv2", "/rest/v2%3b", "/rest%00"])
def test_a_path_that_servers_read_otherwise_is_refused(path: str) -> None:
    """Servers merge slashes, drop parameters and decode: such a path would be a second name for one AMS."""
    found = judge_url("url", f"https://ams.example{path}", credentials=False)
    assert found is not None
    assert found.code == "url"
    assert judge_url("tokenUrl", f"https://ams.example{path}", credentials=False) is None


@pytest.mark.parametrize("host", ["am%73.example", "[fe80::1%25eth0]", ".", ".."])
def test_a_host_that_no_server_has_is_refused(host: str) -> None:
    """A percent sign or dots alone in a host reach no server that has that name."""
    assert judge_url("url", f"https://{host}/rest", credentials=False) is not None
