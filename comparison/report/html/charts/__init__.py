"""The charts of the report: functions from evidence to positions, which a template draws as SVG."""
