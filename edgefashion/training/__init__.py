"""From Fashion-MNIST or photos to a trained bundle."""
