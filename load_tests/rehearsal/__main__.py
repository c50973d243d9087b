"""Play the rehearsal: `python -m load_tests.rehearsal`."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from load_tests.rehearsal.timeline import Timeline

RATE: Final = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rehearsal; return 0 if all acts passed, no answer failed and no pair was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m load_tests.rehearsal", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--transactions", type=Path, metavar="FILE", help="Parquet table; simulated if not given"
    )
    parser.add_argument("--folder", type=Path, default=Path(".rehearsal"), help="for the reports")
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    _emptied(folder)
    # Set before BentoML is imported, because the import fixes the model store.
    os.environ["BENTOML_HOME"] = str(folder / "bentoml")
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"

    from load_tests.rehearsal.stage import scenery
    from load_tests.rehearsal.transactions import prepare

    timeline = Timeline()
    timeline.stage("Tuesday")
    traffic = prepare(options.transactions)
    v1, v2 = traffic.trained.v1, traffic.trained.v2
    timeline.tell(
        "training",
        f"v1 and v2 on {traffic.source}: average precision {v1.average_precision:.3f} and "
        f"{v2.average_precision:.3f}; v2 wins the holdout, so it is a candidate",
    )
    with scenery(folder, traffic, timeline, options.rate) as scene:
        return _play(scene)


def _play(scene: "Scenery") -> int:  # noqa: F821  # imported late, see main
    from load_tests.rehearsal.steps import PromiseBrokenError
    from load_tests.rehearsal.story import Story

    tell, story, passed = scene.timeline.tell, Story(scene), 0
    tell("service", f"2 workers at {scene.serving.url}, the live page at /migration")
    tell("Unleash", scene.admin.state("fraud-detector-v2").url)
    acts = story.acts()
    try:
        for name, act in acts:
            scene.timeline.stage(name)
            act()
            passed += 1
    except PromiseBrokenError as broken:
        tell("", str(broken))
    finally:
        story.end()
        scene.stop()
    failed, lost = scene.failed(), scene.lost()
    took = "-" if story.rollback is None else f"{story.rollback:.1f}"
    print(f"\n{len(scene.replies):,} requests; the reports are in {scene.folder.name}")
    print(
        f"rehearsal {passed}/{len(acts)}, failed answers {failed}, lost pairs {lost}, "
        f"rollback {took} s"
    )
    return int(passed < len(acts) or not scene.replies or failed > 0 or lost > 0)


def _emptied(folder: Path) -> None:
    """Empty the folder of an earlier rehearsal; exit if it holds anything else."""
    mark = folder / ".rehearsal"
    if folder.is_dir() and any(folder.iterdir()) and not mark.exists():
        sys.exit(f"{folder} holds something else than a rehearsal: name another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "pairs").mkdir(parents=True)
    mark.touch()


if __name__ == "__main__":
    sys.exit(main())
