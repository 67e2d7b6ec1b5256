"""The pictures of the report, each a pure function from arrays to an inline SVG."""
