"""The camera's page in a browser, and its metrics."""
