"""Model folders: found, verified, written; and the guard that looks at a model file before OpenVINO parses it."""
