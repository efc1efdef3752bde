"""A model repository for OpenVINO Model Server."""
