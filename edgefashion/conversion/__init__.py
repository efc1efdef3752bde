"""From a bundle to its IR, to INT8, to an IR with the preprocessing inside, to an OVMS repository."""
