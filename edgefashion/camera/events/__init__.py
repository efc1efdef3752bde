"""Where the camera's events go: stdout, a file, an MQTT broker."""
