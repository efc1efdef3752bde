"""The camera as a device of Home Assistant's, which finds it by MQTT discovery."""
