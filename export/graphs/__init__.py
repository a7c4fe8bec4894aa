"""The ONNX graphs: their parts, and the checks that they equal the model."""
