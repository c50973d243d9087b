"""The checks that compare evidence with the limits of the playbook, one subject a module."""
