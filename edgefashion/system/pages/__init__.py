"""Pages of ours in a browser: where they listen, who may see them, and the server in a thread."""
