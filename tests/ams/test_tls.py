"""TLS is always verified; own CA, client certificates and a proxy work; credentials of the proxy stay with the proxy."""

from __future__ import annotations

import asyncio
import datetime
import os
import ssl
import warnings
from base64 import b64encode
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from amsctl.ams.transport import tls_context
from amsctl.config import Tls
from amsctl.errors import AmsError, AmsNoAnswer, AmsUnreachable, ConfigError
from tests.ams.doubles import Wire, answer, run, wire
from tests.ams.test_transport import send


@dataclass(frozen=True)
class Pki:
    ca: trustme.CA
    ca_file: str
    client_file: str
    folder: Path


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.issue_cert("client@example.org").private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    return Pki(ca, str(folder / "ca.pem"), str(folder / "client.pem"), folder)


def served(cert: trustme.LeafCert, *, client_ca: trustme.CA | None = None, old: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    if client_ca is not None:
        client_ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    if old:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "self-signed.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def talk(context: ssl.SSLContext, tls: Tls, host: str = "localhost") -> Wire:
    async with wire(lambda heard: answer(), tls=context) as server:
        try:
            await send(f"https://{host}:{server.port}/x", "/y", method="POST", content=b"{}", fresh=True, tls=tls)
        except AmsError as error:
            error.server = server  # type: ignore[attr-defined]
            raise
        return server


def test_an_own_ca_is_trusted(pki: Pki) -> None:
    """The good case, so that the refusals below mean something."""
    server = run(talk(served(pki.ca.issue_cert("localhost")), Tls(ca_file=pki.ca_file)))
    assert [heard.target for heard in server.heard] == ["/x/y"]


def _cases(pki: Pki) -> dict[str, tuple[ssl.SSLContext, Tls]]:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    good, trusting = pki.ca.issue_cert("localhost"), Tls(ca_file=pki.ca_file)
    other = trustme.CA()
    own = pki.folder / "other.pem"
    other.cert_pem.write_to_path(str(own))
    return {
        "expired": (served(pki.ca.issue_cert("localhost", not_before=past, not_after=past + datetime.timedelta(days=1))), trusting),
        "wrong host": (served(pki.ca.issue_cert("ams.example.org")), trusting),
        "self-signed": (self_signed(pki.folder), trusting),
        "unknown CA": (served(good), Tls()),
        "not the configured CA": (served(good), Tls(ca_file=str(own))),
        "TLS 1.1": (served(good, old=True), trusting),
    }


@pytest.mark.parametrize("case", ["expired", "wrong host", "self-signed", "unknown CA", "not the configured CA", "TLS 1.1"])
def test_a_server_that_does_not_prove_itself_gets_nothing(pki: Pki, case: str) -> None:
    """Refused before a byte of the request is sent, with a reason."""
    context, tls = _cases(pki)[case]
    with pytest.raises(AmsUnreachable, match="nothing was sent") as caught:
        run(talk(context, tls))
    assert caught.value.server.heard == []  # type: ignore[attr-defined]
    assert "secure connection" in str(caught.value) or case == "TLS 1.1"


def test_a_client_certificate_is_shown_where_one_is_configured(pki: Pki) -> None:
    """mTLS works, and without the certificate the call fails."""
    context = served(pki.ca.issue_cert("localhost"), client_ca=pki.ca)
    server = run(talk(context, Tls(ca_file=pki.ca_file, certificate_file=pki.client_file)))
    assert len(server.heard) == 1
    with pytest.raises((AmsUnreachable, AmsNoAnswer)) as caught:
        run(talk(context, Tls(ca_file=pki.ca_file)))
    assert caught.value.server.heard == []  # type: ignore[attr-defined]


def test_files_that_cannot_be_used_are_named(pki: Pki) -> None:
    """A missing or wrong file is a configuration error; an encrypted key fails instead of asking on the terminal."""
    wrong = pki.folder / "wrong.pem"
    wrong.write_text("nothing")
    for tls in (
        Tls(ca_file="/does/not/exist"),
        Tls(ca_file=str(wrong)),
        Tls(certificate_file=str(wrong)),
        Tls(certificate_file=pki.ca_file),
    ):
        with pytest.raises(ConfigError) as caught:
            run(send("https://localhost:1/x", "/y", tls=tls))
        assert str(tls.ca_file or tls.certificate_file) in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge", "none", "no path"])
@pytest.mark.parametrize("setting", ["caFile", "certificateFile", "keyFile"])
def test_what_is_no_file_is_not_waited_for(setting: str, kind: str, pki: Pki, tmp_path: Path) -> None:
    """A pipe without a writer, a device without an end, a folder, more than any list of authorities: told at once, by the name of the setting."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(1 << 40)
    path = {"device": "/dev/zero", "folder": str(tmp_path), "no path": "a\0b"}.get(kind, str(tmp_path / kind))
    tls = {"caFile": Tls(ca_file=path), "certificateFile": Tls(certificate_file=path)}.get(
        setting, Tls(certificate_file=pki.client_file, key_file=path)
    )
    with pytest.raises(ConfigError, match=r"not a regular file|more than|No such file|ValueError") as caught:
        tls_context(tls)
    assert str(caught.value.where).startswith(f"tls.{setting}: ")


@pytest.mark.parametrize("setting", ["caFile", "certificateFile", "keyFile"])
def test_what_a_variable_holds_is_not_shown(setting: str, pki: Pki, tmp_path: Path) -> None:
    """The project file's own text stands in its place: of a file that is missing, and of one that is no certificate."""
    (tmp_path / "s3cret-of-the-vault").write_text("nothing")
    for path in (str(tmp_path / "s3cret-of-the-vault"), str(tmp_path / "s3cret-of-the-vault-too")):
        tls = {"caFile": Tls(ca_file=path), "certificateFile": Tls(certificate_file=path)}.get(
            setting, Tls(certificate_file=pki.client_file, key_file=path)
        )
        with pytest.raises(ConfigError) as caught:
            tls_context(replace(tls, written={setting: "/run/${WHERE}"}))
        assert "s3cret" not in str(caught.value)
        assert setting == "keyFile" or caught.value.where == f"tls.{setting}: /run/${{WHERE}}"


# --- proxy ---


async def _proxy(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A CONNECT proxy that wants user:pa:ss."""
    head = await reader.readuntil(b"\r\n\r\n")
    state.raw += head
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    if method != "CONNECT" or b"proxy-authorization: basic " + b64encode(b"user:pa:ss").lower() not in head.lower():
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return
    host, _, port = target.rpartition(":")
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1" if host == "localhost" else host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(65536):
                sink.write(chunk)
                await sink.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            sink.close()

    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


def test_a_connect_proxy_with_credentials_works_and_sees_no_request(pki: Pki) -> None:
    """The tunnel is end to end; the proxy's credentials do not reach the AMS, nor the AMS's the proxy."""

    async def scenario() -> None:
        context = served(pki.ca.issue_cert("localhost"))
        async with wire(_proxy, raw=True) as proxy, wire(lambda heard: answer(), tls=context) as server:
            headers = (("Authorization", "Basic ams-canary"),)
            options: dict[str, Any] = {"tls": Tls(ca_file=pki.ca_file), "headers": headers}
            good = f"http://user:pa%3Ass@127.0.0.1:{proxy.port}"
            for fresh in (True, False):
                got = await send(f"https://localhost:{server.port}", "/y", proxy=good, fresh=fresh, **options)
                assert got.status == 200
            assert b"ams-canary" not in proxy.raw
            assert [heard.header("proxy-authorization") for heard in server.heard] == [None, None]
            assert server.heard[0].header("authorization") == "Basic ams-canary"
            with pytest.raises(AmsUnreachable, match="proxy") as caught:
                await send(f"https://localhost:{server.port}", "/y", proxy=f"http://user:canary@127.0.0.1:{proxy.port}", **options)
            assert "canary" not in repr(caught.value)
            assert len(server.heard) == 2

    run(scenario())


def test_a_plain_request_goes_through_the_proxy_whole() -> None:
    """To an http address the proxy gets the absolute form, with its own credentials."""

    async def scenario() -> None:
        async with wire(lambda heard: answer()) as proxy:
            await send("http://ams.example:8480/rest/v2", "/y%2Fz", proxy=f"http://user:pw@127.0.0.1:{proxy.port}/")
            assert proxy.heard[0].target == "http://ams.example:8480/rest/v2/y%2Fz"
            assert proxy.heard[0].header("proxy-authorization") == "Basic " + b64encode(b"user:pw").decode()
            await send("http://ams.example:8480/rest/v2", "/y", proxy=f"http://127.0.0.1:{proxy.port}")
            assert proxy.heard[1].header("proxy-authorization") is None

    run(scenario())


@pytest.mark.parametrize(
    "proxy", ["", "canary", "socks5://canary@h:1", "http://", "http://h:x", "http://h/canary", "http://h?canary", "//h:1"]
)
def test_a_proxy_that_is_no_address_is_refused_without_being_shown(proxy: str) -> None:
    """It may hold a password."""
    with pytest.raises(ConfigError) as caught:
        run(send("http://h", "/y", proxy=proxy))
    assert "canary" not in str(caught.value)


def test_an_absent_proxy_is_unreachable() -> None:
    """Nothing was sent to the AMS."""

    async def scenario() -> None:
        async with wire(lambda heard: answer()) as server:
            port = server.port
        for url in ("https://ams.example", "http://ams.example"):
            with pytest.raises(AmsUnreachable, match="proxy"):
                await send(url, "/y", method="POST", content=b"{}", proxy=f"http://127.0.0.1:{port}", fresh=True)

    run(scenario())
