"""The service's HTTP interface: work, limits, offers, tokens and proof, by role.

::

    edge        request ids, size of bodies, access log, headers      (outermost)
    guard       who is it (tokens of ours, OpenID Connect), how much may be asked
    routes/     one module per role; each route names the roles that may use it
    shapes      what is taken and given, as the OpenAPI page tells it

Knows the store's records and the factory file. Does not know the cluster, the grid's protocols or
the loop: what is asked here is written to the store, where the controller finds it, and what is
shown is what the controller or a channel published. A caller sees what its role and party may see
and cannot tell the rest from what does not exist.

Imports every room below it; only the command line imports it. It needs the extra `serve`.
"""
