"""A model for other machines, over KServe's v2 protocol."""
