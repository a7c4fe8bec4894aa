"""`wsgn::StreamingSelection`: causal scores of streams, whose state goes in and out.

Each snippet is weighed by the statistics of all snippets up to it. Inside a call these prefix
statistics come from doubling (Hillis and Steele, 1986): after step k every place knows of the
2^(k+1) snippets that end there, and step k merges in those of the place 2^k before, by Chan's rule.
A Loop runs as many steps as N needs, which is the number of powers of two below N, so there is no
longest call.

Measured in ONNX Runtime 1.32 on one core, B = 1, C = 20, local_gaussian and temporal_softmax
(mean_one), beside a Scan over snippets and beside the same steps written out 15 times (N up to
32,768), with what TensorRT-RTX 1.7 makes of them:

             N = 1     N = 16    N = 256   N = 20,000   largest error   plan      built in
    Loop     0.02 ms   0.08 ms   0.32 ms    52 ms       3.5e-6          1.5 MB    0.6 s
    Scan     0.03 ms   0.09 ms   1.06 ms   132 ms       5.6e-5          4.8 MB    0.4 s
    15 steps 0.13 ms   0.23 ms   0.66 ms    75 ms       3.9e-6          1559 MB   278 s

The Loop is the fastest and, because a value goes through log N merges instead of N, as exact as the
others at best. On a GPU it is 15 steps for N = 20,000 where the Scan is 20,000.
"""

from __future__ import annotations

import onnx

from wsgn.export.graphs.selection_function import (
    LOWEST,
    parsed_function,
    weight_attributes,
    weight_text,
)
from wsgn.manifest import SelectionRule

NAME = "StreamingSelection"
# Powers of two that N is compared with; a tensor of 2^31 snippets fits nowhere.
_NUM_POWERS = 31


def streaming_selection_function(rule: SelectionRule) -> onnx.FunctionProto:
    """The function for one rule; its node has `weight_attributes` of it.

    Inputs: selection_logits and class_probabilities (B, N, C), state (B, 5, C), mu and sigma (C),
    prior (6, C) of `wsgn.localization.streaming_state.prior_rows`. Outputs: scores (B, N, C) and
    next_state (B, 5, C). All float32.
    """
    body = _CONSTANTS + _PREFIXES + _STREAM
    body += _known_text(rule) + weight_text(rule) + _NEXT_STATE
    signature = (
        f"{NAME} <{', '.join(weight_attributes(rule))}>"
        " (selection_logits, class_probabilities, state, mu, sigma, prior) => (scores, next_state)"
    )
    return parsed_function(signature, body)


def _merge(first: str, second: str, both: str) -> str:
    """Statistics of two sets of snippets together, by Chan's rule; `second` may be empty."""
    return f"""
    {both}_count = Add ({first}_count, {second}_count)
    {both}_share = Div ({second}_count, {both}_count)
    {both}_apart = Sub ({second}_mean, {first}_mean)
    {both}_step = Mul ({both}_apart, {both}_share)
    {both}_mean = Add ({first}_mean, {both}_step)
    {both}_step_apart = Mul ({both}_apart, {both}_step)
    {both}_between = Mul ({first}_count, {both}_step_apart)
    {both}_within = Add ({first}_squares, {second}_squares)
    {both}_squares = Add ({both}_within, {both}_between)
    {both}_maximum = Max ({first}_maximum, {second}_maximum)
    {both}_first_below = Sub ({first}_maximum, {both}_maximum)
    {both}_first_factor = Exp ({both}_first_below)
    {both}_first_sum = Mul ({first}_sum, {both}_first_factor)
    {both}_second_below = Sub ({second}_maximum, {both}_maximum)
    {both}_second_factor = Exp ({both}_second_below)
    {both}_second_sum = Mul ({second}_sum, {both}_second_factor)
    {both}_sum = Add ({both}_first_sum, {both}_second_sum)
"""


_CONSTANTS = f"""
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    real_one = Constant <value_float = 1.0> ()
    last_axis = Constant <value_ints = [1]> ()
    lowest = Constant <value_float = {LOWEST}> ()
    powers = Constant <value_ints = [{", ".join(str(1 << k) for k in range(_NUM_POWERS))}]> ()
"""

# One step: `own` are the snippets that a place knows of, `earlier` those that end where they begin.
# The first places have none of these and read place 0 instead, which knows of one snippet: count 0
# takes its mean out, its squares are 0, its maximum is one of `own`, and its sum is taken times 0.
_DOUBLING = f"""
    still_going = Identity (going)
    size = Gather (powers, k)
    place_before = Sub (place, size)
    place_read = Max (place_before, zero)
    num_seen = Add (place, one)
    num_own = Min (num_seen, size)
    num_rest = Sub (num_seen, size)
    num_rest_capped = Min (num_rest, size)
    num_earlier = Max (num_rest_capped, zero)
    own_counts = Cast <to = 1> (num_own)
    earlier_counts = Cast <to = 1> (num_earlier)
    own_count = Unsqueeze (own_counts, last_axis)
    earlier_count = Unsqueeze (earlier_counts, last_axis)
    is_there = Min (earlier_count, real_one)
    earlier_mean = Gather <axis = 1> (own_mean, place_read)
    earlier_squares = Gather <axis = 1> (own_squares, place_read)
    earlier_maximum = Gather <axis = 1> (own_maximum, place_read)
    sum_read = Gather <axis = 1> (own_sum, place_read)
    earlier_sum = Mul (sum_read, is_there)
    {_merge("own", "earlier", "both")}
"""

_VALUES = "float[B, N, C]"
# `call_*` are the statistics of the snippets of this call up to each place, (B, N, C).
_PREFIXES = f"""
    length = Shape <start = 1, end = 2> (selection_logits)
    num_snippets = Squeeze (length)
    place = Range (zero, num_snippets, one)
    is_smaller = Greater (length, powers)
    smaller = Cast <to = 7> (is_smaller)
    num_steps = ReduceSum <keepdims = 0> (smaller)
    always = Constant <value = bool {{1}}> ()
    zeros = Sub (selection_logits, selection_logits)
    ones = Add (zeros, real_one)
    call_mean, call_squares, call_maximum, call_sum = Loop (
        num_steps, always, selection_logits, zeros, selection_logits, ones
    ) <body = doubling (
        int64 k, bool going,
        {_VALUES} own_mean, {_VALUES} own_squares, {_VALUES} own_maximum, {_VALUES} own_sum
    ) => (
        bool still_going,
        {_VALUES} both_mean, {_VALUES} both_squares, {_VALUES} both_maximum, {_VALUES} both_sum
    ) {{
    {_DOUBLING}
    }}>
    counts = Add (place, one)
    real_counts = Cast <to = 1> (counts)
    call_count = Unsqueeze (real_counts, last_axis)
"""

# `stream_*` are those of the stream up to each place. The maximum of a stream that has not begun is
# lower than every logit.
_STREAM = f"""
    state_count, state_mean, state_squares, state_stored, state_sum =
        Split <axis = 1, num_outputs = 5> (state)
    real_zero = Constant <value_float = 0.0> ()
    has_begun = Greater (state_count, real_zero)
    state_maximum = Where (has_begun, state_stored, lowest)
    {_merge("state", "call", "stream")}
"""

# `known_*` are those that a snippet is weighed by: the stream's with the prior's.
_KNOWN = f"""
    prior_count, prior_mean, prior_squares, prior_maximum, prior_sum, prior_typical =
        Split <axis = 0, num_outputs = 6> (prior)
    {_merge("stream", "prior", "known")}
"""
_LOCAL = """
    distance = Sub (selection_logits, known_mean)
    plain_variance = Div (known_squares, known_count)
    epsilon_value = Constant <value_float: float = @epsilon> ()
    variance = Add (plain_variance, epsilon_value)
"""
_MAX_ONE = """
    largest = Max (stream_maximum, prior_typical)
    below = Sub (selection_logits, largest)
    exponential = Exp (below)
"""
_EXPONENTIAL = """
    below = Sub (selection_logits, known_maximum)
    exponential = Exp (below)
"""
_UNITS = {
    "sum_one": "    softmax_unit = Identity (known_sum)\n",
    "mean_one": "    softmax_unit = Div (known_sum, known_count)\n",
    "soft_gate": "    softmax_unit = Div (known_sum, known_count)\n",
}

_NEXT_STATE = """
    stream_counts = Add (zeros, stream_count)
    end = Constant <value_ints = [-1]> ()
    next_count = Gather <axis = 1> (stream_counts, end)
    next_mean = Gather <axis = 1> (stream_mean, end)
    next_squares = Gather <axis = 1> (stream_squares, end)
    next_maximum = Gather <axis = 1> (stream_maximum, end)
    next_sum = Gather <axis = 1> (stream_sum, end)
    next_state = Concat <axis = 1> (
        next_count, next_mean, next_squares, next_maximum, next_sum
    )
"""


def _known_text(rule: SelectionRule) -> str:
    """What `weight_text` reads of the components in use."""
    uses_local = "local_gaussian" in rule.components
    uses_softmax = "temporal_softmax" in rule.components
    text = _KNOWN if uses_local or uses_softmax else ""
    if uses_local:
        text += _LOCAL
    if uses_softmax and rule.softmax_scale == "max_one":
        text += _MAX_ONE
    elif uses_softmax:
        text += _EXPONENTIAL + _UNITS[rule.softmax_scale]
    return text
