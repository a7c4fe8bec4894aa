"""Events of a run, sent to web servers and brokers while it goes on."""
