"""The machine: files, child processes, shared memory, text, back-off, extras."""
