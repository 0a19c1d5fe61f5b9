"""Reports in, text out. Renderers only render: every number comes from the report's summary."""
