"""The live page: a frame of HTML that `live.js` fills from `updates`."""

from __future__ import annotations

from wsgn.page.parts import section
from wsgn.page.shell import asset, render_page

# Of what the lanes show, in seconds, and how the page calls it.
_SPANS = ((60, "1 min"), (180, "3 min"), (600, "10 min"))


def live_page() -> str:
    """The page; the same for every run."""
    spans = "".join(
        f'<button type="button" data-seconds="{seconds}">{words}</button>'
        for seconds, words in _SPANS
    )
    body = (
        '<header class="top"><h1>Live</h1><p class="link" id="link" role="status">connecting</p>'
        '<dl id="facts"></dl></header>'
        '<div class="tools"><span class="key scores">score</span>'
        '<span class="key found">found</span><span class="key open">open</span>'
        '<span class="key gap">no pictures</span>'
        '<label><input type="checkbox" id="quiet">classes without segments</label>'
        f'<span class="push spans" role="group" aria-label="time shown">{spans}</span></div>'
        '<div id="sources"></div>'
        + section(
            "Events",
            '<div class="table" id="events" tabindex="0" role="region" aria-label="events">'
            "<table><thead><tr><th>Time</th><th>Source</th><th>What</th></tr></thead>"
            '<tbody></tbody></table></div><p class="none" id="no-events">Nothing yet.</p>',
        )
        + "<noscript><p>This page needs JavaScript to draw.</p></noscript>"
    )
    return render_page(
        "Live - wsgn",
        body,
        scripts=[asset("live.js", __package__)],
        styles=[asset("live.css", __package__)],
        may_connect=True,
    )
