"""The preprocessing of a picture as OpenVINO operations."""
