"""From MODEL to a Classifier, from a picture to a Prediction."""
