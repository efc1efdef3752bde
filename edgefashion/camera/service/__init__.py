"""The camera as a service of systemd or a task of Windows."""
