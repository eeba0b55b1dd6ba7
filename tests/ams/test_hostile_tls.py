"""TLS through a proxy and under a hostile process environment: who does not prove itself gets not one byte of a credential (B5)."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import certifi
import pytest
import trustme

from amsctl.ams.client import open_reader
from amsctl.ams.transport import tls_context
from amsctl.ams.writer import open_writer
from amsctl.config import Auth, AuthType, Tls
from amsctl.errors import AmsNoAnswer, AmsUnreachable
from tests.ams.doubles import environment, requests, run, wire
from tests.ams.test_tls import Pki, _cases, _proxy, pki, served
from tests.ams.test_transport import send
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


def _trusted_by_default(port: int) -> bool:
    """Whether the standard library's usual context trusts the server: the proof that the surroundings below would work on it."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        try:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost").close()
        except ssl.SSLCertVerificationError:
            return False
        return True


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "both"])
@pytest.mark.parametrize("fresh", [True, False])
def test_certificates_of_the_environment_are_not_trusted(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, fresh: bool
) -> None:
    """Without tls.caFile the system's own list is used, whatever OpenSSL's variables say; with it, nothing of them is added."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    # Both names of a subject that OpenSSL looks up are made of its hash, which its own program tells.
    said = subprocess.run(["openssl", "x509", "-noout", "-subject_hash", "-in", pki.ca_file], capture_output=True, text=True, check=True)
    shutil.copy(pki.ca_file, folder / f"{said.stdout.strip()}.0")
    if variable in ("SSL_CERT_FILE", "both"):
        monkeypatch.setenv("SSL_CERT_FILE", pki.ca_file)
    if variable in ("SSL_CERT_DIR", "both"):
        monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    other = trustme.CA()
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))

    async def within() -> None:
        async with wire(sound, tls=served(pki.ca.issue_cert("localhost"))) as server:
            assert await asyncio.to_thread(_trusted_by_default, server.port)
            for tls in (Tls(), Tls(ca_file=str(tmp_path / "other.pem"))):
                with pytest.raises(AmsUnreachable, match="nothing was sent"):
                    await send(f"https://localhost:{server.port}/rest/v2", "/myFirms/", fresh=fresh, tls=tls)
            assert server.heard == []

    run(within())


def test_a_system_without_a_list_of_its_own_gets_certifi_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the places that OpenSSL was built for hold nothing, and also where one of them is empty; never the environment's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "not-asked"))
    nowhere = ssl.get_default_verify_paths()._replace(openssl_cafile=str(tmp_path / "none"), openssl_capath=str(tmp_path / "none"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    there.load_verify_locations(certifi.where())
    assert tls_context(Tls()).cert_store_stats() == there.cert_store_stats()
    assert there.cert_store_stats()["x509_ca"] > 50
    one = trustme.CA()
    one.cert_pem.write_to_path(str(tmp_path / "system.pem"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere._replace(openssl_cafile=str(tmp_path / "system.pem")))
    assert tls_context(Tls()).cert_store_stats()["x509_ca"] == 1
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "0.0").write_bytes(b"")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere._replace(openssl_capath=str(tmp_path / "folder")))
    assert tls_context(Tls()).cert_store_stats()["x509_ca"] == 0  # a folder is looked into when a certificate is wanted
