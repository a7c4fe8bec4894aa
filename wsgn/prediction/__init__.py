"""`wsgn-predict`: a trained model over annotated videos."""
