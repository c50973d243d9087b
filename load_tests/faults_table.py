"""The table of all faults."""

import signal
from typing import Final

from load_tests.fault import Excuse, Fault
from load_tests.injections import candidate, flag, folder, models, receiver, workers
from tests.support import faulty_proxy, otlp_proxy

EMBEDDED: Final = ("embedded",)
ISOLATED: Final = ("isolated",)
BOTH: Final = ("embedded", "isolated")
APART: Final = ("isolated", "runners")
ALL: Final = ("embedded", "isolated", "runners")

CANDIDATE: Final = (
    Fault("candidate raises", models.model_fault("candidate", "raise"), "candidate error", ALL),
    Fault("candidate hangs", models.model_fault("candidate", "hang"), "candidate failed", ALL),
    Fault("candidate answers NaN", models.model_fault("candidate", "nan"), "candidate error", BOTH),
    Fault(
        "candidate has the wrong schema",
        models.model_fault("candidate", "wrong schema"),
        "candidate error",
        BOTH,
    ),
    Fault(
        "candidate is ten times slower",
        models.model_fault("candidate", "slow"),
        "slow candidate",
        BOTH,
    ),
    Fault(
        "candidate's memory grows",
        models.model_fault("candidate", "leak"),
        "memory limit",
        ISOLATED,
        settings={"CANDIDATE_MAX_MEMORY": str(320 * 2**20)},
    ),
    Fault(
        "candidate calls os._exit",
        models.model_fault("candidate", "exit"),
        "candidate failed",
        APART,
    ),
    Fault(
        "candidate segfaults",
        models.model_fault("candidate", "segfault"),
        "candidate failed",
        APART,
    ),
    Fault("candidate's process is killed", models.killed("candidate"), "candidate failed", APART),
    *(
        Fault(f"candidate {words}", models.model_fault("candidate", word), sign, ISOLATED)
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
        models.nothing,
        "candidate failed",
        ALL,
        around=(models.model_fault("candidate", "unloadable"),),
        recovers=False,
    ),
)

REMOTE: Final = (
    *(
        Fault(f"remote candidate {words}", inject, sign, ("remote",), around=(around,))
        for words, inject, sign, around in (
            (
                "raises",
                models.model_fault("candidate", "raise"),
                "candidate error",
                candidate.there,
            ),
            (
                "hangs",
                models.model_fault("candidate", "hang"),
                "candidate timeout",
                candidate.there,
            ),
            (
                "is ten times slower",
                models.model_fault("candidate", "slow"),
                "slow candidate",
                candidate.there,
            ),
            ("is away", candidate.away, "candidate error", candidate.there),
            ("comes late", candidate.comes, "candidate error", candidate.late),
            (
                "has another schema",
                candidate.replaced_by("VerdictsOther"),
                "other schema",
                candidate.there,
            ),
            (
                "is another version",
                candidate.replaced_by("VerdictsV3"),
                "further model",
                candidate.there,
            ),
            (
                "gives half an answer",
                candidate.proxy_fails(faulty_proxy.Fault.CUT_OFF),
                "candidate error",
                candidate.behind_proxy,
            ),
            (
                "is a log-in page",
                candidate.proxy_fails(faulty_proxy.Fault.HTML),
                "candidate error",
                candidate.behind_proxy,
            ),
        )
    ),
    Fault(
        "remote candidate's name does not resolve",
        models.nothing,
        "candidate error",
        ("remote",),
        around=(candidate.without_name,),
        recovers=False,
    ),
)

PRIMARY: Final = (
    Fault(
        "primary raises",
        models.model_fault("primary", "raise"),
        "primary error",
        BOTH,
        excuse=Excuse.PRIMARY,
    ),
    Fault(
        "primary is ten times slower", models.model_fault("primary", "slow"), "slow primary", BOTH
    ),
)

RECORD: Final = (
    Fault("pairs: folder moved away", folder.moved, "further file"),
    Fault("pairs: folder removed, files and all", folder.removed, "gap"),
    Fault("pairs: a file in place of the folder", folder.file_in_its_place, "refused writes"),
    Fault("pairs: folder immutable", folder.immutable, "refused writes", needs_mount=True),
    Fault(
        "pairs: disk full",
        folder.disk_full,
        "refused writes",
        around=(folder.small_disk,),
        needs_mount=True,
    ),
    Fault(
        "pairs: disk full, longer than memory lasts",
        folder.disk_full,
        "drop enospc",
        around=(folder.small_disk,),
        settings={"PAIRS_QUEUE_BYTES": str(2**16)},
        needs_mount=True,
    ),
    Fault(
        "pairs: disk full until the end",
        folder.disk_full_to_the_end,
        "drop enospc",
        around=(folder.small_disk,),
        needs_mount=True,
    ),
    Fault(
        "pairs: folder over PAIRS_MAX_BYTES",
        folder.over_its_bound,
        "drop pruned",
        settings={"PAIRS_MAX_BYTES": str(2**20), "PAIRS_ROTATE_BYTES": str(2**16)},
    ),
)

RECEIVER: Final = (
    Fault(
        "receiver is down",
        receiver.down,
        "retry connection",
        around=(receiver.ship_directly,),
        ships=True,
    ),
    *(
        Fault(
            f"receiver {words}",
            receiver.proxy_fails(fault),
            sign,
            around=(receiver.ship,),
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
    Fault("flags file half written", flag.file_broken, "flag stale"),
    Fault(
        "flags file missing at the start",
        models.nothing,
        "flag error",
        around=(flag.file_missing,),
        flagless=True,
        recovers=False,
    ),
    Fault("flag server is down", flag.unleash_down, "flag stale", around=(flag.follow_unleash,)),
    Fault(
        "flag server never answers, from the start",
        models.nothing,
        "flag error",
        around=(flag.unleash_silent,),
        flagless=True,
        recovers=False,
    ),
)

PROCESS: Final = (
    Fault(
        "worker gets kill -9",
        workers.one_gets(signal.SIGKILL),
        "open record",
        BOTH,
        excuse=Excuse.WORKER,
    ),
    Fault("worker gets SIGTERM", workers.one_gets(signal.SIGTERM), "further worker", BOTH),
    Fault("service is restarted", workers.restart, "further worker", BOTH, excuse=Excuse.WORKER),
    Fault("callers hang up", workers.callers_hang_up, "hung up", BOTH),
    Fault("twice as much is asked as can be answered", workers.overload, "late or shed", BOTH),
)

FAULTS: Final = (*CANDIDATE, *REMOTE, *PRIMARY, *RECORD, *RECEIVER, *FLAG, *PROCESS)
