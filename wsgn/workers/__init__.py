"""Workers that do one job after the other, in processes of this machine or of many.

`pool.py` says who does what, `transport.py` how workers are reached, `work.py` what each of them
does.
"""
