"""The routes, one module per role that they are made for."""
