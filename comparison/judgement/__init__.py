"""The judgement of a step: a verdict from pairs and a playbook."""
