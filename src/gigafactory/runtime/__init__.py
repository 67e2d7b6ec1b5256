"""The runtime: wiring, the loop, the run folder, replay. The only place that knows everybody.

    observe -> decide -> journal the intent -> act -> meter -> journal the facts -> account

The loop is the same in every environment; what differs is who stands behind the doors. Imports
every room below it; only `study`, `web` and `cli` import it.
"""
