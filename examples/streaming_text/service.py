"""Replace a model that writes text: a Markov chain of two words for one of a single word."""

import random
from collections import defaultdict
from collections.abc import AsyncGenerator
from pathlib import Path

import bentoml

from flags import migrate

TEXT = Path(__file__).with_name("text.txt").read_text(encoding="utf-8").split()


@bentoml.service
class WriterV1:
    """Write, each word chosen by the one before it."""

    order = 1

    def __init__(self) -> None:
        self.after = defaultdict(list)
        for place in range(self.order, len(TEXT)):
            self.after[tuple(TEXT[place - self.order : place])].append(TEXT[place])

    @bentoml.api
    async def write(self, seed: int, words: int = 40) -> AsyncGenerator[str, None]:
        """Stream a text as server-sent events, the same for the same seed."""
        chance, said = random.Random(seed), TEXT[: self.order]  # noqa: S311 - no secret
        while len(said) < words and (choices := self.after[tuple(said[-self.order :])]):
            said.append(chance.choice(choices))
            yield f"data: {said[-1]}\n\n"


WriterV2 = bentoml.service(type("WriterV2", (WriterV1.inner,), {"order": 2}))

score = {"words": lambda text: text.count("data:"), "sentences": lambda text: text.count(".\n")}
Writer = migrate(WriterV1, WriterV2, flag="writer-v2", score=score, placement="embedded")
