"""Injections into the folder of the pairs, and the disk that it is on."""

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
"""Size of the file system that is made to be full; two workers' pairs of minutes fit."""

CALLERS: Final = 16
"""Requests under way at the same time, so that the folder grows beyond its bound."""

_BLOCK: Final = b"\0" * 2**16


@contextmanager
def moved(scene: Scene) -> Iterator[None]:
    """Move the folder away under the workers' hands; it is not put back."""
    scene.pairs.rename(scene.record / "moved")
    yield


@contextmanager
def removed(scene: Scene) -> Iterator[None]:
    """Remove the folder with what is in it."""
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
    """Put a file where the folder was, so that nothing can be written, as root or not."""
    in_place = False
    while not in_place:
        scene.pairs.rename(scene.record / f"moved-{time.monotonic_ns()}")
        with contextlib.suppress(FileExistsError):  # a worker has made the folder anew
            scene.pairs.touch(exist_ok=False)
            in_place = True
    yield
    scene.pairs.unlink()


@contextmanager
def immutable(scene: Scene) -> Iterator[None]:
    """Make folder and files immutable, which binds root as well."""
    paths = [str(scene.pairs), *map(str, scene.pairs.glob("*.jsonl"))]
    subprocess.run(["chattr", "+i", *paths], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)


@contextmanager
def small_disk(scene: Scene) -> Iterator[None]:
    """Give the folder a file system of its own; for the whole run."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(scene.pairs)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(scene.pairs)], check=True)


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """Fill that file system to the last byte."""
    filler = scene.pairs / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(_BLOCK):
            pass
    yield
    filler.unlink()


@contextmanager
def disk_full_to_the_end(scene: Scene) -> Iterator[None]:
    """Fill it, and leave it full until the service has been stopped."""
    with (scene.pairs / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(_BLOCK):
            pass
    yield


@contextmanager
def over_its_bound(scene: Scene) -> Iterator[None]:
    """Ask as much as is answered, until files had to be removed for the folder's bound."""
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
