"""Injections into the folder of the pairs and its disk."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from load_tests.scene import Scene
from tests.support.fakes import eventually

SMALL_DISK: Final = "4m"
"""Size of the file system to fill; it has room for some minutes of two workers' pairs."""

CALLERS: Final = 16
"""Concurrent requests with which the folder exceeds its limit."""

_BLOCK: Final = b"\0" * 2**16


@contextmanager
def moved(scene: Scene) -> Iterator[None]:
    """Move the folder while workers write to it; it is not moved back."""
    scene.pairs.rename(scene.record / "moved")
    yield


@contextmanager
def removed(scene: Scene) -> Iterator[None]:
    """Remove the folder and its content."""
    removed = False
    while not removed:
        try:
            shutil.rmtree(scene.pairs)
            removed = True
        except OSError:  # a worker has written to it meanwhile
            continue
    yield


@contextmanager
def file_in_its_place(scene: Scene) -> Iterator[None]:
    """Replace the folder by a file, so that not even root can write pairs."""
    in_place = False
    while not in_place:
        scene.pairs.rename(scene.record / f"moved-{time.monotonic_ns()}")
        with contextlib.suppress(FileExistsError):  # a worker has created the folder again
            scene.pairs.touch(exist_ok=False)
            in_place = True
    yield
    scene.pairs.unlink()


@contextmanager
def immutable(scene: Scene) -> Iterator[None]:
    """Make folder and files immutable, also for root."""
    paths = [str(scene.pairs), *map(str, scene.pairs.glob("*.jsonl"))]
    subprocess.run(["chattr", "+i", *paths], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)


@contextmanager
def small_disk(scene: Scene) -> Iterator[None]:
    """Mount a small file system on the folder, during the whole run."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(scene.pairs)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(scene.pairs)], check=True)


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """Fill the small file system to the last byte."""
    filler = scene.pairs / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(_BLOCK):
            pass
    yield
    filler.unlink()


@contextmanager
def disk_full_to_the_end(scene: Scene) -> Iterator[None]:
    """Fill the small file system, and leave it full until the service has been stopped."""
    with (scene.pairs / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(_BLOCK):
            pass
    yield


@contextmanager
def over_its_bound(scene: Scene) -> Iterator[None]:
    """Send requests at full capacity until files were removed, because the folder is too large."""
    scene.load.callers = CALLERS
    if not eventually(lambda: scene.counted()["drop pruned"] > 0, pause=0.2):
        raise TimeoutError("no file was pruned within a minute")
    yield
    scene.load.callers = 0


def may_mount(folder: Path) -> bool:
    """Say whether this user may mount file systems, and make files in `folder` immutable."""
    if os.geteuid() != 0:
        return False
    place, file = folder / "mount", folder / "file"
    place.mkdir()
    file.touch()
    commands = [
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)],
        ["umount", str(place)],
        ["chattr", "+i", str(file)],
        ["chattr", "-i", str(file)],
    ]
    try:
        return all(
            subprocess.run(command, capture_output=True, check=False).returncode == 0
            for command in commands
        )
    except FileNotFoundError:
        return False
