# Types for projection.py, which is compiled where a C compiler is, and means the same without.

cimport cython

from processors.conversation cimport Conversation

cdef long long _DAY
cdef long long _NEVER
cdef int _FACT_SHIFT
cdef int _ERASURE_SHIFT


@cython.locals(
    one=Conversation, chosen=list, fast=list, hidden=list, blank=list, grown=cython.longlong,
    version=cython.ulonglong, started=cython.longlong, last=cython.longlong,
    closes_at=cython.longlong, day=cython.longlong, closed=cython.bint, messages=cython.int, revisions=cython.ulonglong,
    erasures=cython.ulonglong
)
cpdef object project(object conversations, object clocks, int rules_revision, long long now)

@cython.locals(at=cython.longlong, since=cython.longlong)
cdef object _announced(Conversation one, long long closes_at)

cdef bint _is_stale(Conversation one, int messages)

cdef tuple _cells(Conversation one)
