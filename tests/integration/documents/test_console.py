"""Every console block of the documents runs as it is printed, and prints what is shown below it.

What a block cannot do here, another test does: `ELSEWHERE` says which. There is no third way, so a
new block is run, or named there.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from flags.unleash.admin import UnleashAdmin, seed
from flags.unleash.local import LocalUnleash
from tests.support.console import Block, blocks
from tests.support.console_world import ENVIRONMENT, World
from tests.support.following import following
from tests.support.markdown import DOCS, PAGES, name_of
from tests.support.paths import ROOT

pytest_plugins = ("tests.support.unleash.server",)

SERVICE: Final = "tests.support.services.documented:FraudDetector"

WHOLE_PAGES: Final = {
    DOCS / "tutorial.md": "tests/e2e/test_wheel.py",
    ROOT / "examples" / "README.md": "tests/e2e/test_examples.py",
}
"""Pages whose blocks build on each other, with the test that follows them."""

ELSEWHERE: Final = {
    r"git clone ": ("tests/e2e/test_readme.py", "as a clone has it"),
    r"make ": ("tests/unit/documents/test_docs.py", "`make "),
    r"pip install ": ("tests/unit/documents/test_examples.py", "pip install"),
    r"bentoml serve ": ("tests/e2e/test_readme.py", '"bentoml", "serve"'),
    r"bentoml build": ("tests/e2e/test_built_bento.py", '"bentoml", "build"'),
    r"bentoml containerize ": ("deploy/image.py", '"bentoml", "containerize"'),
    r"cp deploy/example.env |docker ": ("tests/unit/deploy/test_deploy_stack.py", "compose.yaml"),
    r"kubectl ": ("tests/unit/deploy/test_deploy_stack.py", "kubernetes"),
    r"bentoml migration dashboard\b": (
        "tests/integration/unleash/test_dashboard.py",
        '"dashboard"',
    ),
    r".* --judge openai ": ("tests/integration/cli/test_judge_command.py", '"openai"'),
    r".* --outcomes \"clickhouse:": (
        "tests/integration/comparison/test_outcome_engines.py",
        "clickhouse",
    ),
    r"bentoml migration retire ": ("tests/integration/operate/test_operate.py", '"retire"'),
}
"""Commands that need more than a moment or a machine, with the test that has them, and its words.

`make image` runs `containerize`, which needs root.
"""

TEN_LINES: Final = "cd examples/ten_lines"
"""In the blocks of the README that `tests/e2e/test_readme.py` follows."""

EVERY: Final = [
    block
    for page in PAGES
    if page not in WHOLE_PAGES
    for block in blocks(page)
    if not any(TEN_LINES in command.line for command in block.commands)
]


def here(block: Block) -> Block:
    """Return a block without the commands that another test runs."""
    kept = [each for each in block.commands if not any(re.match(p, each.line) for p in ELSEWHERE)]
    return Block(block.page, block.number, kept)


RUN: Final = [found for block in EVERY if (found := here(block)).commands]


@pytest.fixture(scope="module")
def world(unleash: LocalUnleash, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, flag = tmp_path_factory.mktemp("console"), "documents-v2"
    with UnleashAdmin(unleash.url, unleash.admin_token, ENVIRONMENT) as admin:
        seed(admin, flag)
        token = admin.client_token("documents")
        with following(unleash, flag, folder, service=SERVICE, UNLEASH_API_TOKEN=token) as serving:
            yield World(unleash, admin, flag, serving.url)


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_console_block_runs_and_prints_what_the_page_shows(
    block: Block, world: World, tmp_path: Path
) -> None:
    world.run(block, tmp_path)


def test_what_is_run_elsewhere_is_in_that_test() -> None:
    for pattern, (test, words) in ELSEWHERE.items():
        assert words in (ROOT / test).read_text(encoding="utf-8"), f"{test} has no {words}"
        assert any(re.match(pattern, command.line) for b in EVERY for command in b.commands), (
            f"no page has {pattern} any more"
        )
    for page, test in WHOLE_PAGES.items():
        assert list(blocks(page)), name_of(page)
        assert (ROOT / test).is_file(), test


def test_a_page_that_prints_something_else_would_be_found() -> None:
    (block,) = (b for b in RUN if name_of(b.page) == "docs/how-to/rollback.md" and b.number == 1)
    (command,) = block.commands
    command.agrees_with(
        "fraud-detector-v2 is off in production, it was at 50 %\nsomething between\n"
        "reason kept on the flag: rollback: p99 doubled\nall 4 workers followed within 12.0 s\n"
    )
    with pytest.raises(AssertionError, match="is not in its place"):
        command.agrees_with("fraud-detector-v2 is off in development, it was at 10 %")
