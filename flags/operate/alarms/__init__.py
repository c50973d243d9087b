"""Operational alarms: Prometheus, Alertmanager and webhooks are asked at each look."""
