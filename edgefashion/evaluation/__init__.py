"""How right a network is: accuracy, parity, agreement, calibration."""
