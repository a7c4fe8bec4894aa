"""From videos to features: decoding, optical flow, a backbone, one feature file per video."""
