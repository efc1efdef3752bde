"""A model that another machine serves, asked over KServe's v2 protocol."""
