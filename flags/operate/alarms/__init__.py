"""Operational alarms: Prometheus, Alertmanager and webhooks, read at each look."""
