"""The judgement of a step: from pairs and a playbook to a verdict."""
