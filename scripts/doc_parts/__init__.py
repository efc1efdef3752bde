"""What `scripts/write_docs` puts into the pages."""
