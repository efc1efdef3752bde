"""From a frame to a stable answer, on a screen, in a file, to a broker."""
