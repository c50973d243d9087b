"""Name every fault."""

import signal
from typing import Final

from load_tests import injections as do
from load_tests.fault import Excuse, Fault
from tests.support import faulty_proxy, otlp_proxy

EMBEDDED: Final = ("embedded",)
ISOLATED: Final = ("isolated",)
BOTH: Final = ("embedded", "isolated")
APART: Final = ("isolated", "runners")
ALL: Final = ("embedded", "isolated", "runners")

CANDIDATE: Final = (
    Fault("candidate raises", do.told("candidate", "raise"), "candidate error", ALL),
    Fault("candidate hangs", do.told("candidate", "hang"), "candidate failed", ALL),
    Fault("candidate answers NaN", do.told("candidate", "nan"), "candidate error", BOTH),
    Fault(
        "candidate has the wrong schema",
        do.told("candidate", "wrong schema"),
        "candidate error",
        BOTH,
    ),
    Fault("candidate is ten times slower", do.told("candidate", "slow"), "slow candidate", BOTH),
    Fault(
        "candidate's memory grows",
        do.told("candidate", "leak"),
        "memory limit",
        ISOLATED,
        settings={"CANDIDATE_MAX_MEMORY": str(320 * 2**20)},
    ),
    Fault("candidate calls os._exit", do.told("candidate", "exit"), "candidate failed", APART),
    Fault("candidate segfaults", do.told("candidate", "segfault"), "candidate failed", APART),
    Fault("candidate's process is killed", do.killed("candidate"), "candidate failed", APART),
    *(
        Fault(f"candidate {words}", do.told("candidate", word), sign, ISOLATED)
        for words, word, sign in (
            ("signals its process group", "signal group", "candidate ok"),
            ("kills its process group", "kill group", "candidate failed"),
            ("stops itself", "stop itself", "candidate failed"),
            ("closes every file handle", "close handles", "candidate failed"),
            ("kills its parent", "kill parent", "candidate failed"),
            ("leaves programs running", "run programs", "candidate ok"),
            ("floods its output", "flood", "candidate ok"),
        )
    ),
    Fault(
        "candidate cannot be loaded",
        do.nothing,
        "candidate failed",
        ALL,
        around=(do.told("candidate", "unloadable"),),
        recovers=False,
    ),
)

REMOTE: Final = (
    *(
        Fault(f"remote candidate {words}", inject, sign, ("remote",), around=(around,))
        for words, inject, sign, around in (
            ("raises", do.told("candidate", "raise"), "candidate error", do.remote),
            ("hangs", do.told("candidate", "hang"), "candidate timeout", do.remote),
            ("is ten times slower", do.told("candidate", "slow"), "slow candidate", do.remote),
            ("is away", do.remote_away, "candidate error", do.remote),
            ("comes late", do.remote_comes, "candidate error", do.remote_late),
            ("has another schema", do.remote_is("VerdictsOther"), "other schema", do.remote),
            ("is another version", do.remote_is("VerdictsV3"), "further model", do.remote),
            (
                "gives half an answer",
                do.remote_proxy(faulty_proxy.Fault.CUT_OFF),
                "candidate error",
                do.remote_behind_proxy,
            ),
            (
                "is a log-in page",
                do.remote_proxy(faulty_proxy.Fault.HTML),
                "candidate error",
                do.remote_behind_proxy,
            ),
        )
    ),
    Fault(
        "remote candidate's name does not resolve",
        do.nothing,
        "candidate error",
        ("remote",),
        around=(do.remote_without_name,),
        recovers=False,
    ),
)

PRIMARY: Final = (
    Fault(
        "primary raises",
        do.told("primary", "raise"),
        "primary error",
        BOTH,
        excuse=Excuse.PRIMARY,
    ),
    Fault("primary is ten times slower", do.told("primary", "slow"), "slow primary", BOTH),
)

RECORD: Final = (
    Fault("pairs: folder moved away", do.folder_moved, "further file"),
    Fault("pairs: folder removed, files and all", do.folder_removed, "gap"),
    Fault("pairs: a file in place of the folder", do.file_in_its_place, "refused writes"),
    Fault("pairs: folder immutable", do.immutable, "refused writes", needs_mount=True),
    Fault(
        "pairs: disk full",
        do.disk_full,
        "refused writes",
        around=(do.small_disk,),
        needs_mount=True,
    ),
    Fault(
        "pairs: disk full, longer than memory lasts",
        do.disk_full,
        "drop enospc",
        around=(do.small_disk,),
        settings={"PAIRS_QUEUE_BYTES": str(2**16)},
        needs_mount=True,
    ),
    Fault(
        "pairs: disk full until the end",
        do.disk_full_to_the_end,
        "drop enospc",
        around=(do.small_disk,),
        needs_mount=True,
    ),
    Fault(
        "pairs: folder over PAIRS_MAX_BYTES",
        do.over_its_bound,
        "drop pruned",
        settings={"PAIRS_MAX_BYTES": str(2**20), "PAIRS_ROTATE_BYTES": str(2**16)},
    ),
)

RECEIVER: Final = (
    Fault(
        "receiver is down",
        do.receiver_down,
        "retry connection",
        around=(do.ship_directly,),
        ships=True,
    ),
    *(
        Fault(
            f"receiver {words}",
            do.receiver(fault),
            sign,
            around=(do.ship,),
            ships=True,
        )
        for words, fault, sign in (
            ("answers 503", otlp_proxy.Fault.UNAVAILABLE, "retry http_503"),
            ("resets connections", otlp_proxy.Fault.RESET, "retry connection"),
            (
                "leaves spans out (partial success)",
                otlp_proxy.Fault.PARTIAL_EVERY_OTHER,
                "reject partial_success",
            ),
            (
                "stores and resets, the answer is lost",
                otlp_proxy.Fault.ANSWER_LOST,
                "retry connection",
            ),
            ("never answers", otlp_proxy.Fault.SILENT, "retry timeout"),
            ("answers a byte a second", otlp_proxy.Fault.DRIP, "retry timeout"),
            ("answers half a GiB, compressed", otlp_proxy.Fault.BOMB, "retry http_503"),
            ("rejects more spans than it got", otlp_proxy.Fault.ABSURD, "absurd rejections"),
        )
    ),
)

FLAG: Final = (
    Fault("flags file half written", do.flags_file_broken, "flag stale"),
    Fault(
        "flags file missing at the start",
        do.nothing,
        "flag error",
        around=(do.flags_file_missing,),
        flagless=True,
        recovers=False,
    ),
    Fault("flag server is down", do.unleash_down, "flag stale", around=(do.follow_unleash,)),
    Fault(
        "flag server never answers, from the start",
        do.nothing,
        "flag error",
        around=(do.unleash_silent,),
        flagless=True,
        recovers=False,
    ),
)

PROCESS: Final = (
    Fault(
        "worker gets kill -9",
        do.worker_gets(signal.SIGKILL),
        "open record",
        BOTH,
        excuse=Excuse.WORKER,
    ),
    Fault("worker gets SIGTERM", do.worker_gets(signal.SIGTERM), "further worker", BOTH),
    Fault("service is restarted", do.restart, "further worker", BOTH, excuse=Excuse.WORKER),
    Fault("callers hang up", do.callers_hang_up, "hung up", BOTH),
    Fault("twice as much is asked as can be answered", do.overload, "late or shed", BOTH),
)

FAULTS: Final = (*CANDIDATE, *REMOTE, *PRIMARY, *RECORD, *RECEIVER, *FLAG, *PROCESS)
