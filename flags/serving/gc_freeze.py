"""The exclusion of start-up objects from garbage collection (`gc.freeze`)."""

import gc


def freeze_loaded() -> None:
    """Collect the garbage of the start, and leave out of all further collections what remains.

    A full collection looks at every object: with BentoML and two models, for over a tenth of a
    second in which no answer is made. Few of them ever become garbage.
    """
    gc.collect()
    gc.freeze()
