"""Nodes: out of service, into it, off and on; only what is not so already is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from gigafactory.adapters.slurm.command import Commands
from gigafactory.adapters.slurm.looking import Looked
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.adapters.slurm.views import view_node
from gigafactory.jobs.ports import NodeAction, NodeCommand, NodeView, Outcome, Receipt

_STATES = {
    NodeAction.DRAIN: "DRAIN",
    NodeAction.UNDRAIN: "RESUME",
    NodeAction.POWER_DOWN: "POWER_DOWN_ASAP",  # takes nothing new, and off once it is empty
    NodeAction.POWER_UP: "POWER_UP",
}


def act_on_nodes(
    commands: Sequence[NodeCommand],
    settings: SlurmSettings,
    runner: Commands,
    look: Callable[[], Looked],
) -> tuple[Receipt, ...]:
    """Carry out commands to nodes, in order; one receipt each.

    Args:
        commands: what to do.
        settings: the site's.
        runner: runs Slurm's commands.
        look: sees the nodes as they are.
    """
    seen = look()
    receipts: list[Receipt] = []
    for action, run in groupby(commands, key=lambda command: command.action):
        some = list(run)
        if seen.trouble:
            receipts += [Receipt(c.key, Outcome.UNKNOWN, seen.trouble) for c in some]
            continue
        nodes = _views(seen, settings)
        asked = [c for c in some if c.node in nodes and not _there(action, nodes[c.node])]
        said = ""
        if asked:
            answers = [runner.run(argv, settings.write_limit_s) for argv in _told(asked)]
            said = " ".join(" ".join(answer.err.split()) for answer in answers)
            trouble = next((answer.trouble for answer in answers if answer.trouble), "")
            seen = Looked(seen.at_ns, trouble=trouble) if trouble else look()
        receipts += [_receipt(command, nodes, seen, settings, said) for command in some]
    return tuple(receipts)


def _told(asked: Sequence[NodeCommand]) -> list[list[str]]:
    """One command per reason; nodes in a list."""
    by_reason: dict[str, list[str]] = {}
    for command in asked:
        by_reason.setdefault(command.reason, []).append(command.node)
    state = _STATES[asked[0].action]
    return [
        [
            *("scontrol", "update", f"NodeName={','.join(nodes)}", f"State={state}"),
            # A reason is asked for by Slurm where nodes are taken out of service.
            *([f"Reason={reason or 'gigafactory'}"] if state == "DRAIN" else []),
        ]
        for reason, nodes in by_reason.items()
    ]


def _views(seen: Looked, settings: SlurmSettings) -> dict[str, NodeView]:
    pools = {partition: pool for pool, partition in settings.partitions.items()}
    return {row.node: view_node(row, pools) for row in seen.nodes}


def _there(action: NodeAction, node: NodeView) -> bool:
    match action:
        case NodeAction.DRAIN:
            return node.draining
        case NodeAction.UNDRAIN:
            return not node.draining and node.up
        case NodeAction.POWER_DOWN:
            return node.off
        case NodeAction.POWER_UP:
            return not node.off


def _receipt(
    command: NodeCommand,
    before: dict[str, NodeView],
    after: Looked,
    settings: SlurmSettings,
    said: str,
) -> Receipt:
    if command.node not in before:
        return Receipt(command.key, Outcome.REFUSED, f"no node is called {command.node}")
    if not before[command.node].pool:
        why = f"{command.node} belongs to no pool of ours"
        return Receipt(command.key, Outcome.REFUSED, why)
    if after.trouble:
        return Receipt(command.key, Outcome.UNKNOWN, after.trouble)
    node = _views(after, settings).get(command.node)
    # Powering takes a while: it is on its way where Slurm said nothing against it.
    powering = command.action in (NodeAction.POWER_DOWN, NodeAction.POWER_UP) and not said
    if node is not None and (_there(command.action, node) or powering):
        return Receipt(command.key, Outcome.ACCEPTED)
    return Receipt(command.key, Outcome.REFUSED, said or "Slurm did not carry it out")
