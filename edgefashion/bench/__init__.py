"""Engines measured side by side, the report, and the gate against regressions."""
