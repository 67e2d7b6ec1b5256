"""The loop with consequences: a real cluster, real grid messages, a clock on the wall."""
