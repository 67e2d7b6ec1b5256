"""Channels of grid parties: each a process of its own that turns messages into orders in the store.

::

    kind      carries                                    module
    mqtt      setpoints of a reserve, grid frequency     mqtt
    openadr   limits (OpenADR 3.0.1), reports back       openadr
    iec104    setpoints and limits (IEC 60870-5-104)     iec104host, and the plug-in iec104

All go through `door`: bounded, checked, kept before acknowledged, alarmed. `running` runs one until
it is told to stop; `python -m gigafactory.adapters.channels` does so from the service's settings.

Knows protocols. Does not know whether an order is obeyed: the runtime judges it again. Only the
runtime, the web and the command line import it. Nothing is imported here, so that the plug-in
process of IEC 60870-5-104 loads its own module alone.
"""
