"""TLS to the candidate: its certificate is checked, ours is sent, and no error stops the start."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from flags.serving.remote.address import Remote
from flags.serving.remote.link_settings import LinkSettings
from service.serving import free_port
from tests.support.fakes import until
from tests.unit.flags.serving.remote.test_link import Far, judged, linked


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Return a certificate that signs itself, for the loopback address, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("certificates")
    return (*certificate(folder, "server"), *certificate(folder, "client"))


def secured(certificates: tuple[Path, ...]) -> Far:
    """Return a server that asks for the client's certificate."""
    server, server_key, client, _ = certificates
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server, server_key)
    context.load_verify_locations(client)
    context.verify_mode = ssl.CERT_REQUIRED
    return Far(tls=context)


async def test_a_server_with_the_right_certificate_that_knows_ours_is_called(
    certificates: tuple[Path, ...],
) -> None:
    server, _, client, key = certificates
    far = secured(certificates)
    settings = LinkSettings(ca_file=server, cert_file=client, key_file=key)
    async with far.running(), linked(far.remote, settings) as link:
        assert link.report().state == "ready", link.report()
        assert (await judged(link)).value.score == 0.5


async def test_a_server_whose_certificate_nobody_signed_is_away(
    certificates: tuple[Path, ...],
) -> None:
    _, _, client, key = certificates
    far = secured(certificates)
    settings = LinkSettings(cert_file=client, key_file=key)
    async with far.running(), linked(far.remote, settings) as link:
        assert link.report().state == "away"
        assert "certificate verify failed" in (link.report().why or "")


async def test_an_absence_over_tls_is_logged_once(
    certificates: tuple[Path, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Even after several checks."""
    server, _, client, key = certificates
    settings = LinkSettings(ca_file=server, cert_file=client, key_file=key)
    async with linked(Remote(f"https://localhost:{free_port()}"), settings) as link:
        for _ in range(3):
            await link._check_server()
        assert "Cannot connect to host localhost" in (link.report().why or "")
    assert len([each for each in caplog.messages if "is away" in each]) == 1


async def test_a_file_that_is_not_there_yet_is_read_when_it_comes(
    certificates: tuple[Path, ...], tmp_path: Path
) -> None:
    server, _, client, key = certificates
    far, later = secured(certificates), tmp_path / "later.pem"
    settings = LinkSettings(ca_file=later, cert_file=client, key_file=key)
    async with far.running(), linked(far.remote, settings) as link:
        assert link.report().state == "away"
        assert str(later) in (link.report().why or "")
        shutil.copy(server, later)
        await until(lambda: link.is_ready)
