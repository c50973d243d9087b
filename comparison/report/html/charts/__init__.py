"""The charts of the report: evidence in, positions of marks out; a template writes SVG."""
