"""Where the camera's picture goes: a window, a recording, short clips."""
