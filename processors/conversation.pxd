# Types for conversation.py, which is compiled where a C compiler is, and means the same without.
#
# The order is that in memory: what nearly every fact touches lies together, because cached conversations lie all over it.

cimport cython

from processors.effects cimport Effects

cdef long long _DAY
cdef int _USER
cdef int _ASSISTANT
cdef int _SYSTEM
cdef int _LABELLED
cdef int _ERASED
cdef int _WITH_TEXT
cdef int _LETTERS_ENOUGH
cdef int _TEXTS_ENOUGH
cdef int _FACT_BYTES


@cython.final
cdef class Conversation:
    cdef public bytes known
    cdef public list log
    cdef public Effects effects
    cdef public tuple days
    cdef public str id
    cdef public long long at
    cdef public long long seq
    cdef public long long facts
    cdef public long long cut
    cdef public long long epoch
    cdef public long long size
    cdef public long long started
    cdef public long long activity
    cdef public long long session_start
    cdef public long long user_at
    cdef public long long message_at
    cdef public int sessions
    cdef public int users
    cdef public int assistants
    cdef public int agents
    cdef public int letters
    cdef public int partition
    cdef public bint disordered
    cdef public bint escalated
    cdef public bint claimed
    cdef public bytes questions
    cdef public tuple ended
    cdef public tuple texts
    cdef public str language
    cdef public str topic
    cdef public str subtopic
    cdef public tuple cells
    cdef public tuple key
    cdef public unsigned long long written
    cdef public long long stored_day
    cdef public long long idle_until
    cdef public long long counted
    cdef public int erasures
    cdef public str label
    cdef public object seen
    cdef public long long labelled_at

    cdef public long long looked_at
    cdef public bytes tagged
    cdef public tuple causes
    cdef public str user_id
    cdef public str user_name
    cdef public str channel
    cdef public str device
    cdef public str user_agent
    cdef public str location
    cdef public dict names
    cdef public dict attributes
    cdef public object rating
    cdef public str feedback
    cdef public str assigned_to
    cdef public str team
    cdef public str correction
    cdef public str label_id
    cdef public str labelled_by
    cdef public str label_reason

    cpdef bint _wants_text(self, long long at)
    @cython.locals(day=cython.longlong, at=cython.longlong, known=bytes, kind=cython.int)
    cpdef bint add(self, tuple effect, bytes pair) except -1
    @cython.locals(packed=bytes, at=cython.longlong)
    cpdef _append(self, tuple effect)
    @cython.locals(effect=tuple)
    cpdef settle(self)
    @cython.locals(
        at=cython.longlong, kind=cython.int, role=cython.int, activity=cython.longlong, key=bytes,
        language=str, topic=str, subtopic=str
    )
    cpdef _step(self, tuple effect)


@cython.locals(conversation=Conversation, folded=list, dropped=list, erased=cython.int)
cpdef tuple fold_into(object conversations, dict facts, long long epoch, set known)

@cython.locals(number=cython.Py_ssize_t, key=tuple, digest=bytes, pair=bytes, of=Effects, known=list)
cpdef sort_in(dict facts, list keys, list events, list times, list ids, list digests, Py_ssize_t start, dict effects)
