"""After `dispose()` a TimeWindowSubject takes items silently, and completes who subscribes.

RxPY's own tests of subjects want DisposedException from all. `is_stopped` stays False and
`exception` None after `on_error`.
"""

import numpy as np
from fault_programs import expect
from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, StreamInfo, TimeWindowSubject

chunk = Chunk.regular(np.arange(3), StreamInfo("x", 10.0, (), np.int64), start=0)
subject = TimeWindowSubject(10)
subject.dispose()


def error_of(do, *arguments):
    try:
        do(*arguments)
    except Exception as error:
        return type(error)
    return None


seen = {
    "on_next": error_of(subject.on_next, chunk),
    "on_completed": error_of(subject.on_completed),
    "on_error": error_of(subject.on_error, ValueError()),
}
errors = []
raised = error_of(
    lambda: subject.subscribe(
        lambda _: None, lambda e: errors.append(type(e)), scheduler=ImmediateScheduler()
    )
)
seen["subscribe"] = raised or (errors[0] if errors else None)
failed = TimeWindowSubject(10)
failed.on_error(ValueError("x"))
right = all(kind is DisposedException for kind in seen.values())
expect(right and failed.is_stopped and failed.exception is not None, f"{seen}, {failed.is_stopped}")
