"""``mlserver.rest``: what custom handlers answer with."""
