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

Without the Loop, for hosts to which a loop is many launches: for calls of few snippets every place
sees all places up to it through a mask (N, N), which takes memory and time by N^2; for calls of one
snippet there is nothing to merge but the state.

The Loop is the fastest and, because a value goes through log N merges instead of N, as exact as the
others at best. On a GPU it is 15 steps for N = 20,000 where the Scan is 20,000.
"""

from __future__ import annotations

import onnx

from wsgn.export.graphs.selection_function import (
    LOWEST,
    SMALLEST,
    Attributes,
    attention_attributes,
    average_text,
    components_text,
    gate_attributes,
    parsed_function,
    per_frame_text,
    scores_text,
    weight_attributes,
)
from wsgn.manifest import AVERAGE, SelectionRule

NAME = "StreamingSelection"
# Snippets of a stream in one call: any number, by a Loop; few, by a mask; always one.
CALLS = ("any", "few", "one")
# Powers of two that N is compared with; a tensor of 2^31 snippets fits nowhere.
_NUM_POWERS = 31


def node_attributes(rule: SelectionRule) -> Attributes:
    """All options of the node."""
    return weight_attributes(rule) | gate_attributes(rule) | attention_attributes(rule)


def streaming_selection_function(rule: SelectionRule, *, calls: str = "any") -> onnx.FunctionProto:
    """The function for one rule and one of CALLS; its node has `node_attributes` of the rule.

    Inputs: selection_logits and class_probabilities (B, N, C), state (B, R, C) with the rows of
    `wsgn.localization.streaming_state.state_rows`, mu and sigma (C), prior of `prior_rows` there.
    Outputs: scores (B, N, C) and next_state (B, R, C). All float32.
    """
    is_average = rule.weight_scale == AVERAGE
    body = _CONSTANTS + _PREFIXES_OF[calls] + _SPLIT[is_average] + _STREAM
    if rule.components and (
        is_average or {"local_gaussian", "temporal_softmax"} & {*rule.components}
    ):
        body += _PRIOR[is_average] + _KNOWN
    if "local_gaussian" in rule.components:
        body += _LOCAL
    body += components_text(rule)
    body += _average_text(rule) if is_average else _per_frame_text(rule)
    body += scores_text(rule, _PEAKS) + _next_state_text(rule)
    signature = (
        f"{NAME} <{', '.join(node_attributes(rule))}>"
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
    end = Constant <value_ints = [-1]> ()
    smallest = Constant <value_float = {SMALLEST}> ()
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

# The same without a Loop, (B, N, N, C) in between: [b, i, j] is of place j as place i sees it. The
# mean is taken twice, so that what its rounding moves is taken out of the squares.
_MASKED_PREFIXES = """
    length = Shape <start = 1, end = 2> (selection_logits)
    num_snippets = Squeeze (length)
    place = Range (zero, num_snippets, one)
    place_column = Unsqueeze (place, last_axis)
    is_later = Less (place_column, place)
    hidden = Unsqueeze (is_later, end)
    seen_axis = Constant <value_ints = [2]> ()
    zeros = Sub (selection_logits, selection_logits)
    nothing = Constant <value_float = 0.0> ()
    counts = Add (place, one)
    real_counts = Cast <to = 1> (counts)
    call_count = Unsqueeze (real_counts, last_axis)
    each = Unsqueeze (selection_logits, last_axis)
    shown = Where (hidden, lowest, each)
    call_maximum = ReduceMax <keepdims = 0> (shown, seen_axis)
    maximum_row = Unsqueeze (call_maximum, seen_axis)
    below_maximum = Sub (shown, maximum_row)
    exponentials = Exp (below_maximum)
    call_sum = ReduceSum <keepdims = 0> (exponentials, seen_axis)
    added = Where (hidden, nothing, each)
    total = ReduceSum <keepdims = 0> (added, seen_axis)
    rough_mean = Div (total, call_count)
    rough_row = Unsqueeze (rough_mean, seen_axis)
    apart = Sub (each, rough_row)
    apart_shown = Where (hidden, nothing, apart)
    apart_total = ReduceSum <keepdims = 0> (apart_shown, seen_axis)
    correction = Div (apart_total, call_count)
    call_mean = Add (rough_mean, correction)
    apart_squared = Mul (apart_shown, apart_shown)
    squares_total = ReduceSum <keepdims = 0> (apart_squared, seen_axis)
    squares_excess = Mul (apart_total, correction)
    call_squares = Sub (squares_total, squares_excess)
"""

# The same where N is 1.
_ONE_SNIPPET = """
    zeros = Sub (selection_logits, selection_logits)
    call_mean = Identity (selection_logits)
    call_squares = Identity (zeros)
    call_maximum = Identity (selection_logits)
    call_sum = Add (zeros, real_one)
    call_count = Identity (real_one)
"""
_PREFIXES_OF = dict(zip(CALLS, (_PREFIXES, _MASKED_PREFIXES, _ONE_SNIPPET), strict=True))

# `stream_*` are those of the stream up to each place. The maximum of a stream that has not begun is
# lower than every logit.
_SPLIT = {
    False: """
    state_count, state_mean, state_squares, state_stored, state_sum =
        Split <axis = 1, num_outputs = 5> (state)
""",
    True: """
    state_count, state_mean, state_squares, state_stored, state_sum, state_local, state_global =
        Split <axis = 1, num_outputs = 7> (state)
""",
}
_STREAM = f"""
    real_zero = Constant <value_float = 0.0> ()
    has_begun = Greater (state_count, real_zero)
    state_maximum = Where (has_begun, state_stored, lowest)
    {_merge("state", "call", "stream")}
"""

# `known_*` are those that a snippet is weighed by: the stream's with the prior's.
_PRIOR = {
    False: """
    prior_count, prior_mean, prior_squares, prior_maximum, prior_sum, prior_typical =
        Split <axis = 0, num_outputs = 6> (prior)
""",
    True: """
    prior_count, prior_mean, prior_squares, prior_maximum, prior_sum, prior_typical, prior_local,
        prior_global = Split <axis = 0, num_outputs = 8> (prior)
""",
}
_KNOWN = _merge("stream", "prior", "known")
_LOCAL = """
    distance = Sub (selection_logits, known_mean)
    plain_variance = Div (known_squares, known_count)
    epsilon_value = Constant <value_float: float = @epsilon> ()
    variance = Add (plain_variance, epsilon_value)
"""
# Relative to the largest logit so far, or of a typical video.
_PEAK = """
    largest = Max (stream_maximum, prior_typical)
    below_largest = Sub (selection_logits, largest)
    peak_softmax = Exp (below_largest)
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
# Of the scale average: a component's sum so far, of its values as they were when their snippets
# came. {0} is the component, {1} the row of the state.
_SUM = """
    {1}_call = CumSum ({0}, one)
    {1}_stream = Add (state_{1}, {1}_call)
    {1}_known = Add ({1}_stream, prior_{1})
    {0}_sum = Max ({1}_known, smallest)
    next_{1} = Gather <axis = 1> ({1}_stream, end)
"""
_ROWS = {"local_gaussian": "local", "global_gaussian": "global"}
_VALUES_OF = {
    "local_gaussian": "local_gaussian",
    "global_gaussian": "global_gaussian",
    "temporal_softmax": "exponential",
}
# What the gate `product` takes the mean of: the weights of the scale per_frame, max_one.
_PEAKS = _VALUES_OF | {"temporal_softmax": "peak_softmax"}

_NEXT_STATE = """
    stream_counts = Add (zeros, stream_count)
    next_count = Gather <axis = 1> (stream_counts, end)
    next_mean = Gather <axis = 1> (stream_mean, end)
    next_squares = Gather <axis = 1> (stream_squares, end)
    next_maximum = Gather <axis = 1> (stream_maximum, end)
    next_sum = Gather <axis = 1> (stream_sum, end)
"""


def _per_frame_text(rule: SelectionRule) -> str:
    """`weight` of the scale per_frame, where there are components."""
    text = ""
    if "temporal_softmax" in rule.components:
        if rule.softmax_scale == "max_one":
            text = _PEAK + "    exponential = Identity (peak_softmax)\n"
        else:
            text = _EXPONENTIAL + _UNITS[rule.softmax_scale]
    return text + per_frame_text(rule) if rule.components else ""


def _average_text(rule: SelectionRule) -> str:
    """`weight` of the scale average, where there are components, and the sums of the next state."""
    text = ""
    for component, row in _ROWS.items():
        if component in rule.components:
            text += _SUM.format(component, row)
        else:
            text += f"    next_{row} = Identity (state_{row})\n"
    if "temporal_softmax" in rule.components:
        text += _EXPONENTIAL + "    temporal_softmax_sum = Identity (known_sum)\n"
        text += _PEAK if rule.gate == "product" else ""
    return text + average_text(rule, _VALUES_OF, "known_count") if rule.components else text


def _next_state_text(rule: SelectionRule) -> str:
    rows = ["count", "mean", "squares", "maximum", "sum"]
    if rule.weight_scale == AVERAGE:
        rows += _ROWS.values()
    names = ", ".join(f"next_{row}" for row in rows)
    return _NEXT_STATE + f"    next_state = Concat <axis = 1> ({names})\n"
