"""A model file made elsewhere is tried before it is loaded."""
