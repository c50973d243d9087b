"""A service whose every name, and whatever its callers write, tries to become markup."""

import os

import bentoml
from pydantic import BaseModel

from flags import migrate

ATTACK = "<img src=x onerror='owned=1;alert(1)'><script>owned=1</script>"


class Opinion(BaseModel):
    score: float


@bentoml.service
class HostileV1:
    @bentoml.api
    def judge(self, amount: float, kind: str) -> Opinion:
        return Opinion(score=amount / 100)


@bentoml.service
class HostileV2:
    @bentoml.api
    def judge(self, amount: float, kind: str) -> Opinion:
        return Opinion(score=2 * amount / 100)


Hostile = migrate(
    primary=HostileV1,
    candidate=HostileV2,
    flag=os.environ.get("FLAG", "hostile-v2"),
    score={ATTACK: "score"},
    threshold={ATTACK: 0.5},
    decide=lambda opinion, _thresholds: opinion,
    segments={f"kind {ATTACK}": "kind"},
    features={f"amount {ATTACK}": "amount"},
    placement="embedded",
    name="Hostile",
)
