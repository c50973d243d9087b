"""Draw the charts of the report: evidence in, positions of marks out, and a template writes SVG."""
