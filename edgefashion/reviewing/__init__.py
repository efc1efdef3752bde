"""A page on which people say what is on a shop's pictures, and have a network taught with them."""
