"""The gate's verdict on labels; all other evidence is healthy."""

from dataclasses import replace

from flags.gate import Decision
from flags.gate.checks.labels import label_checks
from flags.gate.checks.quality import quality_checks
from flags.gate.decide import verdict_of
from flags.gate.evidence import (
    Count,
    GivenLabels,
    LabelledCell,
    Labelling,
    Paired,
    UnitRecall,
    UnitShare,
)
from flags.playbook.model import Playbook
from load_tests.gate_simulations.label_draws import FIRED
from tests.support.evidence import FLAG, evidence, output, quality


def verdict_on_labels(
    cells: tuple[LabelledCell, ...],
    rollout: int,
    *,
    young: bool = False,
    young_too: tuple[LabelledCell, ...] = (),
    given: GivenLabels | None = None,
    coverage_p: float = 1e-9,
    burst: int = 1,
) -> Decision:
    """Return the gate's verdict on labels, with otherwise healthy evidence.

    `cells` are old, or all `young`; `young_too` come in addition to old ones.
    """
    playbook = Playbook(flag=FLAG)
    step = playbook.steps_at(rollout)[0]
    covered = {}
    for side in ("primary", "candidate"):
        rows = [each for each in cells if each.served == side and each.pairs]
        if rows:
            covered[side] = Count(
                sum(each.labelled for each in rows), sum(each.pairs for each in rows)
            )
    labelling = Labelling(cells, young_too, covered, coverage_p, float(burst))
    if young:
        labelling = Labelling((), cells, {}, None, float(burst))
    old = () if young else cells

    def among(kind: str) -> Paired:
        return Paired(
            *(
                sum(
                    getattr(each, kind)
                    for each in old
                    if (each.primary_alarm, each.candidate_alarm) == fired
                )
                for fired in FIRED
            )
        )

    caught, false_alarms = among("positives"), among("negatives")
    labels = caught.pairs + false_alarms.pairs
    of = quality(caught, labelled=labels, false_alarms=false_alarms) if labels else None
    if of and burst > 1:
        of = replace(of, by_unit=_by_unit(caught, burst))
    found = evidence(output(quality=of, labelling=labelling), rollout=rollout)
    found = replace(found, labels=given)
    checks = (*label_checks(found, playbook, step), *quality_checks(found, playbook, step))
    return verdict_of(checks, found).decision


def _by_unit(caught: Paired, burst: int) -> UnitRecall:
    """Return the recall by unit of bursts of equal requests."""
    same, lost, gained = caught.both + caught.neither, caught.primary_only, caught.candidate_only
    shares = tuple(
        UnitShare(share, n // burst) for share, n in ((-1.0, lost), (0.0, same), (1.0, gained))
    )
    return UnitRecall(shares, shares, float(burst), 1.0)
