"""The networks that can be trained, a file a family, and the list of them."""
