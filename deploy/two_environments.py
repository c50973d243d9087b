"""Build the image of a service with two environments, run it, and let both models answer.

The service is `examples/two_environments`, whose models are pickles of two versions of
scikit-learn. Part of `make image`; see `deploy.image` for its requirements.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from comparison.pairs.reader import read_pairs
from deploy.image import (
    ImageError,
    build_and_check,
    run,
    served,
    size_of,
    volume,
    working_container,
)
from examples.two_environments import train
from flags.unleash.flags_file import write_flags_file

FLAG: Final = "masses-v2"
BENTOFILE: Final = "examples/two_environments/bentofile.yaml"
MODELS: Final = ("masses-v1:latest", "masses-v2:latest")
PRIMARY: Final = "/app/.venv/bin/python"
CANDIDATE: Final = (
    "/app/.venv/share/bentoml-flags/examples.two_environments.candidate.MassesV2/bin/python"
)
FOLLOWS_WITHIN: Final = 60.0
"""Seconds until the other side answers after a change of the flag."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, run, check; return 1 if anything is wrong."""
    return build_and_check(
        "deploy.two_environments", __doc__, "masses:latest", build, check, arguments
    )


def build(tag: str) -> None:
    """Train, each model with its own libraries; build the Bento and its image."""
    lookups = [["bentoml", "models", "get", model] for model in MODELS]
    if any(subprocess.run(each, capture_output=True).returncode for each in lookups):
        train.main()
    run("bentoml", "build", "--bentofile", BENTOFILE)
    run("bentoml", "containerize", "masses:latest", "--backend", "buildah", "--image-tag", tag)


def check(image: str) -> None:
    """Check that neither environment can load the other's model, and that both models answer."""
    with working_container(image) as container, tempfile.TemporaryDirectory() as folder:
        for python, theirs in ((PRIMARY, "masses-v2"), (CANDIDATE, "masses-v1")):
            if loads(container, python, theirs):
                raise ImageError(f"{python} loads {theirs}: one environment would do")
        pairs = volume(Path(folder))
        with serving(container, pairs, Path(folder) / "service.log") as url:
            answers = {side: answer_by(url, pairs, side) for side in ("primary", "candidate")}
        statuses = read_pairs(pairs).frame[["primary_status", "candidate_status"]].iloc[-1]
        ours = answers["primary"]["sklearn"], answers["candidate"]["sklearn"]
        sizes = [environment_size(container, each) for each in (PRIMARY, CANDIDATE)]
        print(
            f"image {image} takes {size_of(image)}, its environments {sizes[0]} and {sizes[1]}; "
            f"scikit-learn {ours[0]} and {ours[1]} answer, neither loads the other's model"
        )
        if set(statuses) != {"ok"} or len(set(ours)) != 2:
            raise ImageError(f"both sides must score by their own libraries: {dict(statuses)}")


def loads(container: str, python: str, model: str) -> bool:
    """Say whether `python` can load `model` in the container."""
    load = (
        "import glob, joblib, os; path = os.environ['BENTO_PATH'];"
        f"joblib.load(*glob.glob(path + '/models/{model}/*/saved_model.pkl'))"
    )
    command = ["buildah", "run", container, "--", python, "-c", load]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "pickle" not in done.stderr:  # for another reason
        raise ImageError(f"{model} cannot be tried with {python}:\n{done.stderr}")
    return done.returncode == 0


def environment_size(container: str, python: str) -> str:
    """Return the size of an environment, without an environment inside it."""
    folder = python.removesuffix("/bin/python")
    return run(
        *("buildah", "run", container, "--", "du", "--summarize", "--human-readable"),
        *("--exclude=bentoml-flags", folder),
    ).split()[0]


@contextmanager
def serving(container: str, pairs: Path, log: Path) -> Iterator[str]:
    """Run the service with its flag in the folder of the pairs; yield its address."""
    write_flags_file(pairs / "flags.json", FLAG, 0)
    with served(container, pairs, log, {"FLAGS_FILE": "/pairs/flags.json"}) as (url, _):
        yield url


def answer_by(url: str, pairs: Path, side: str) -> dict[str, Any]:
    """Set the flag so that `side` answers, and return an answer of it."""
    write_flags_file(pairs / "flags.json", FLAG, 100 if side == "candidate" else 0)
    deadline, last = time.monotonic() + FOLLOWS_WITHIN, ""
    while time.monotonic() < deadline:
        request = urllib.request.Request(
            f"{url}/judge",
            json.dumps({"radius": 14.5, "texture": 20.1}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
        if response.headers["X-Model-Side"] == side:
            return answer
        last = str(answer)
        time.sleep(0.5)
    raise ImageError(f"the {side} did not answer within {FOLLOWS_WITHIN:.0f} s: {last}")


if __name__ == "__main__":
    sys.exit(main())
