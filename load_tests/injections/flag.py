"""Injections into the source of the flag: the flags file, or Unleash."""

from collections.abc import Iterator
from contextlib import contextmanager

from load_tests.scene import Scene
from tests.support import faulty_proxy
from tests.support.faulty_proxy import FaultyProxy


@contextmanager
def file_broken(scene: Scene) -> Iterator[None]:
    """Cut the flags file in half, like an unfinished edit."""
    text = scene.flags.read_text()
    scene.flags.write_text(text[: len(text) // 2])
    yield
    scene.flags.write_text(text)


@contextmanager
def file_missing(scene: Scene) -> Iterator[None]:
    """Remove the flags file, for the whole run."""
    scene.flags.unlink()
    yield


@contextmanager
def follow_unleash(scene: Scene) -> Iterator[None]:
    """Take the flag from a real Unleash, during the whole run."""
    unleash = scene.programs.unleash
    scene.settings.update(
        UNLEASH_URL=unleash.sdk_url,
        UNLEASH_API_TOKEN=unleash.client_token,
        FLAGS_REFRESH_INTERVAL="1",
    )
    yield


@contextmanager
def unleash_down(scene: Scene) -> Iterator[None]:
    """Stop the Unleash server, and start it again."""
    scene.programs.unleash.server.stop()
    yield
    scene.programs.unleash.restart_server()


@contextmanager
def unleash_silent(scene: Scene) -> Iterator[None]:
    """Follow a real Unleash that never answers, during the whole run."""
    with FaultyProxy(scene.programs.unleash.url) as proxy, follow_unleash(scene):
        proxy.fault = faulty_proxy.Fault.SILENT
        scene.settings["UNLEASH_URL"] = proxy.sdk_url
        yield
