# Types for fallbacks.py, which is compiled where a C compiler is, and means the same without.

cimport cython


@cython.final
cdef class Fallbacks:
    cdef frozenset _intents
    cdef object _in_words
    cdef object _in_latin
    cdef readonly dict _known

    cpdef bint is_fallback_intent(self, str name)
    cpdef bint could_not_help(self, str text)
    cdef bint _read(self, str text)
