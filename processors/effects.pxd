# Types for effects.py, which is compiled where a C compiler is, and means the same without.

cimport cython


@cython.final
cdef class Effects:
    cdef public long long gap
    cdef double _threshold
    cdef object _question_key
    cdef object _could_not_help
    cdef object _is_fallback_intent
    cdef dict _by_kind

    @cython.locals(said=tuple)
    cpdef tuple of(self, object event, long long at)
    cdef list _tags(self, object event)
    @cython.locals(low=cython.bint, pattern=cython.bint, tags=list)
    cdef list _assistant_tags(self, object event)
