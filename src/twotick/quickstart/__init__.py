"""Set up a server: on a machine, with systemd, or in the folders of a user."""

from twotick.quickstart.hand import Hand, StepFailed
from twotick.quickstart.place import Place, own_place, system_place
from twotick.quickstart.setting_up import NotSetUp, ServerPlan, check, count_members, host_name, set_up

__all__ = [
    "Hand",
    "NotSetUp",
    "Place",
    "ServerPlan",
    "StepFailed",
    "check",
    "count_members",
    "host_name",
    "own_place",
    "set_up",
    "system_place",
]
