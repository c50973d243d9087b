"""Hold the evidence against the limits of the playbook, one subject a module."""
