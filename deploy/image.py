"""Build the container image of the reference Bento, run it, and check it: `make image`.

Builds with `bentoml containerize --backend buildah`, which needs no container engine. If the usual
base image cannot be pulled, debootstrap creates a Debian instead. Runs as root, on Debian, with the
packages buildah and debootstrap.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import psutil
import yaml

from comparison.pairs.reader import read_pairs
from service.replay import bodies, replay
from service.serving import free_port
from service.simulator import simulate
from service.training import production

BASE: Final = "docker.io/library/python:3.11-slim"
"""The base image of `bentoml containerize` for Python 3.11."""

BENTO: Final = "fraud_detector:latest"
SERVICE_USER: Final = 1034
"""BentoML's user id in its images."""

STOP_WITHIN: Final = 10.0
"""Seconds from SIGTERM under load to the end of the last process."""

REQUESTS: Final = 3_000
ROOT: Final = Path(__file__).parents[1]
STACK: Final = ROOT / "deploy" / "compose.yaml"
CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
CHROOT: Final = {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
"""Settings with which buildah needs neither mounts nor namespaces."""


class ImageError(RuntimeError):
    """The image could not be built, or failed a check."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, run, check; return 1 if anything is wrong."""
    return build_and_check(
        "deploy.image", __doc__, "fraud-detector:latest", build, checked, arguments
    )


def build_and_check(
    program: str,
    about: str | None,
    tag: str,
    build: Callable[[str], None],
    check: Callable[[str], None],
    arguments: Sequence[str] | None,
) -> int:
    """Run the command line: build an image with its tag, then check the image."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("--tag", default=tag, help="name of the image")
    parser.add_argument("--check-only", action="store_true", help="of an image that is there")
    options = parser.parse_args(arguments)
    os.environ |= {**CHROOT, "BENTOML_DO_NOT_TRACK": "True"}
    began = time.monotonic()
    try:
        if not options.check_only:
            provide_base()
            build(options.tag)
            print(f"built {options.tag} in {time.monotonic() - began:.0f} s")
        check(f"localhost/{options.tag}")
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


def checked(image: str) -> None:
    """Print the size of the image, and test it."""
    print(f"{image.removeprefix('localhost/')} takes {size_of(image)}")
    smoke_test(image)


def provide_base() -> None:
    """Pull the base image, or create a substitute; do nothing if it exists."""
    if run("buildah", "images", "--quiet", BASE, check=False):
        return
    if subprocess.run(["buildah", "pull", "--quiet", BASE], capture_output=True).returncode == 0:
        return
    print(f"{BASE} cannot be pulled: debootstrap makes a base")
    with working_container("scratch") as container:
        root = Path(run("buildah", "mount", container))
        packages = "python3.11,python3.11-venv,python3-pip,ca-certificates"
        run("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root))
        # pip may install into Python's own folder, as in the usual image.
        (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink(missing_ok=True)
        trust(root)
        config = ["--cmd", "python3", "--env", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        for variable in ("SSL_CERT_FILE", "PIP_CERT"):
            config += ["--env", f"{variable}={CERTIFICATES}"]
        run("buildah", "config", *config, container)
        run("buildah", "commit", "--quiet", container, BASE)


def trust(root: Path) -> None:
    """Copy this machine's trusted certificates to the base image."""
    own = Path("/usr/local/share/ca-certificates")
    if own.is_dir():
        shutil.copytree(own, root / own.relative_to("/"), dirs_exist_ok=True)
    run("chroot", str(root), "update-ca-certificates")


def build(tag: str) -> None:
    """Train missing models, build the Bento and its image."""
    for model in ("fraud-v1:latest", "fraud-v2:latest"):
        if subprocess.run(["bentoml", "models", "get", model], capture_output=True).returncode:
            run(sys.executable, "-m", "service.training")
            break
    run("bentoml", "build")
    run("bentoml", "containerize", BENTO, "--backend", "buildah", "--image-tag", tag)


def size_of(image: str) -> str:
    """Return the size of the image, including its base."""
    return run("buildah", "images", "--format", "{{.Size}}", image)


def smoke_test(image: str) -> None:
    """Serve under load, stop under load, and check that each answer has its pair.

    Pairs are written to a folder of this machine, which is mounted like the stack's volume.
    """
    table = production(simulate(seed=0)).sample(REQUESTS, random_state=0)
    requests = [(f"image-{number}", body) for number, body in enumerate(bodies(table))]
    with (
        working_container(image) as container,
        tempfile.TemporaryDirectory() as folder,
        served(container, pairs := volume(Path(folder)), Path(folder) / "service.log") as (
            url,
            serving,
        ),
    ):
        users = {
            process.uids().effective for process in [serving, *serving.children(recursive=True)]
        }
        if users != {SERVICE_USER}:
            raise ImageError(f"it runs as {sorted(users)}, not as {SERVICE_USER}")
        stack_commands(container, url)
        first = asyncio.run(replay(url, requests[: REQUESTS // 3]))
        if failed := [reply for reply in first if reply.status != 200]:
            raise ImageError(f"{len(failed)} requests failed, the first with {failed[0]}")
        rest, seconds = asyncio.run(stopped_under_load(url, requests[REQUESTS // 3 :], serving))
        answered = {reply.request_id for reply in [*first, *rest] if reply.status == 200}
        recorded = set(read_pairs(pairs).frame["request_id"])
        lost = len(answered - recorded)
        print(
            f"image {image}, user {SERVICE_USER}, answered {len(answered):,}, lost pairs {lost}, "
            f"stopped under load in {seconds:.1f} s"
        )
        if lost or seconds > STOP_WITHIN:
            raise ImageError(f"it must lose no pair and stop within {STOP_WITHIN:.0f} s")


def stack_commands(container: str, url: str) -> None:
    """Run the stack's other commands in the image: the health check, and the seeding of flags."""
    services = yaml.safe_load(STACK.read_text())["services"]
    _, *check = services["service"]["healthcheck"]["test"]
    here = [word.replace("http://127.0.0.1:3000", url) for word in check]
    run("buildah", "run", container, "--", *here)
    seeding = services["flags"]
    variables = [f"--env=PYTHONPATH={seeding['environment']['PYTHONPATH']}"]
    run("buildah", "run", *variables, container, "--", *seeding["command"], "--help")


def volume(folder: Path) -> Path:
    """Create a folder for pairs that only the service's user can write."""
    pairs = folder / "pairs"
    pairs.mkdir(mode=0o750)
    os.chown(pairs, SERVICE_USER, SERVICE_USER)
    return pairs


@contextlib.contextmanager
def served(
    container: str, pairs: Path, log: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[str, psutil.Process]]:
    """Run the image's entry point; yield address and process when the service is ready."""
    port = free_port()
    inspected = run(
        "buildah", "inspect", "--format", "{{index .OCIv1.Config.Entrypoint 0}}", container
    )
    options = ["--env", "PAIRS_DIR=/pairs", "--volume", f"{pairs}:/pairs"]
    options += [f"--env={name}={value}" for name, value in settings.items()]
    command = ["buildah", "run", *options, container, "--", inspected, "serve"]
    with log.open("w") as output:
        starter = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=output, stderr=output
        )
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
        while not ready(url):
            if starter.poll() is not None or time.monotonic() > deadline:
                raise ImageError(f"it did not start:\n{log.read_text()}")
            time.sleep(0.5)
        family = psutil.Process(starter.pid).children(recursive=True)
        # The first process that is not buildah's.
        yield url, next(each for each in family if not each.cmdline()[0].startswith("buildah"))
    finally:
        for process in psutil.Process(starter.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        starter.kill()
        starter.wait()


def ready(url: str) -> bool:
    """Say whether the service is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


async def stopped_under_load(
    url: str, requests: Sequence[tuple[str, dict[str, float]]], serving: psutil.Process
) -> tuple[list, float]:
    """Send `requests`, then SIGTERM; return the replies and the seconds until the service ended."""
    replies = asyncio.create_task(replay(url, requests, concurrency=8))
    await asyncio.sleep(1.0)
    family, began = [serving, *serving.children(recursive=True)], time.monotonic()
    serving.terminate()
    _, left = await asyncio.to_thread(psutil.wait_procs, family, timeout=3 * STOP_WITHIN)
    seconds = time.monotonic() - began
    for process in left:
        process.kill()
    return await replies, seconds


@contextlib.contextmanager
def working_container(image: str) -> Iterator[str]:
    """Create a container of `image`; remove it afterwards."""
    container = run("buildah", "from", image)
    try:
        yield container
    finally:
        run("buildah", "rm", container, check=False)


def run(*command: str, check: bool = True) -> str:
    """Return the output of `command`. Raises ImageError with its last lines if it fails."""
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        if check and done.returncode:
            errors.seek(0)
            tail = "\n".join((done.stdout + errors.read()).splitlines()[-15:])
            raise ImageError(f"{' '.join(command[:3])} failed:\n{tail}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
