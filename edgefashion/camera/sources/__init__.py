"""Where frames come from: a device, a file, a folder, a URL."""
