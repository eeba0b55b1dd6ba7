"""TLS through a proxy and under a hostile process environment: who does not prove itself gets not one byte of a credential (B5)."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from amsctl.ams.client import open_reader
from amsctl.ams.writer import open_writer
from amsctl.config import Auth, AuthType, Tls
from amsctl.errors import AmsNoAnswer, AmsUnreachable
from tests.ams.doubles import environment, requests, run, wire
from tests.ams.test_tls import Pki, _cases, _proxy, pki, served
from tests.hostile.canaries import CANARIES
from tests.hostile.stub import auth, post, sound

__all__ = ["pki"]
PROXY = "http://user:pa%3Ass@127.0.0.1:{port}"
CASES = ("expired", "wrong host", "self-signed", "unknown CA", "not the configured CA", "TLS 1.1")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("role", "proxied"), [("environment", False), ("environment", True), ("token server", False)])
def test_whoever_does_not_prove_itself_gets_no_credential(pki: Pki, case: str, proxied: bool, role: str) -> None:
    """The environment, reached directly and through a proxy's tunnel, and the token server; reads and writes: nothing is heard, and nothing was sent."""

    async def within() -> None:
        context, tls = _cases(pki)[case]
        async with wire(_proxy, raw=True) as proxy, wire(sound, tls=context) as bad, wire(sound) as good:
            bad_url = f"https://localhost:{bad.port}"
            token_url = f"{bad_url}/token" if role == "token server" else f"http://127.0.0.1:{good.port}/token"
            env = environment(
                f"{bad_url}/rest/v2" if role == "environment" else good.url,
                auth=auth(AuthType.OAUTH2 if role == "token server" else AuthType.BASIC, token_url),
                tls=tls,
                proxy=PROXY.format(port=proxy.port) if proxied else None,
            )
            async with open_writer(env, requests()) as writer:
                for call in (writer.reader.firms, lambda: post(writer, "limits")):
                    with pytest.raises(AmsUnreachable, match="nothing was sent"):
                        await call()
            assert bad.heard == []
            assert good.heard == []
            assert CANARIES["the client secret"].encode() not in bytes(proxy.raw)

    run(within())


def test_a_server_that_wants_a_certificate_and_gets_none_hears_nothing(pki: Pki) -> None:
    """Through the reader and the writer; with the certificate both work."""

    async def within() -> None:
        context = served(pki.ca.issue_cert("localhost"), client_ca=pki.ca)
        async with wire(sound, tls=context) as server:
            url = f"https://localhost:{server.port}/rest/v2"
            async with open_writer(environment(url, tls=Tls(ca_file=pki.ca_file), auth=auth(AuthType.BASIC)), requests()) as writer:
                for call in (writer.reader.firms, lambda: post(writer, "limits")):
                    with pytest.raises((AmsUnreachable, AmsNoAnswer)):
                        await call()
            assert server.heard == []
            known = Tls(ca_file=pki.ca_file, certificate_file=pki.client_file)
            async with open_writer(environment(url, tls=known, auth=auth(AuthType.BASIC)), requests()) as writer:
                assert len(await writer.reader.firms()) == 1
                assert (await post(writer, "limits")).http_status == 200

    run(within())


def test_the_surroundings_of_the_process_take_no_part_in_a_handshake(pki: Pki, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A real handshake with SSLKEYLOGFILE, a netrc, proxies of the environment and a foreign OpenSSL configuration set: no key is written, no password sent."""
    keys, netrc = tmp_path / "keys.log", tmp_path / "netrc"
    netrc.write_text("machine localhost login robot password netrc-password\n")
    netrc.chmod(0o600)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name, place in {
        "SSLKEYLOGFILE": keys,
        "NETRC": netrc,
        "HOME": tmp_path,
        "CURL_CA_BUNDLE": netrc,
        "REQUESTS_CA_BUNDLE": netrc,
    }.items():
        monkeypatch.setenv(name, str(place))
    netrc.rename(tmp_path / ".netrc")

    async def within() -> None:
        async with wire(sound, tls=served(pki.ca.issue_cert("localhost"))) as server:
            env = environment(f"https://localhost:{server.port}/rest/v2", auth=Auth(), tls=Tls(ca_file=pki.ca_file))
            async with open_reader(env, requests()) as reader:
                assert len(await reader.firms()) == 1
            assert [heard.header("authorization") for heard in server.heard] == [None]

    run(within())
    assert not keys.exists()
    # The same handshake by the standard library's usual context would have written them.
    assert ssl.create_default_context().keylog_filename == str(keys)
