"""The gate: `decide` compares the evidence with the playbook's limits and returns a verdict."""

from flags.gate.decide import decide
from flags.gate.verdict import Check, Decision, Outcome, Verdict

__all__ = ["Check", "Decision", "Outcome", "Verdict", "decide"]
