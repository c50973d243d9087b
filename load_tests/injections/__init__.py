"""Fault injections: context managers that cause a fault on entry and end it on exit."""
