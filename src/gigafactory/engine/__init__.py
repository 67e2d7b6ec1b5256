"""The engine: clock, named random streams, journal and errors.

Free of any knowledge of data centres: no plant, job, price or rule lives here. Every room above may
import it; it imports only `gigafactory.units`.
"""
