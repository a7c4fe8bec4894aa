"""From a folder of clips to an engine: the ordinary commands, one after the other."""
