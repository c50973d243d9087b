"""Go the whole way of the gate: from a place with pairs and a playbook to a verdict."""
