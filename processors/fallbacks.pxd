# Types for fallbacks.py, which is compiled where a C compiler is, and means the same without.

cimport cython

from processors.reading cimport Reader

cdef bint _COMPILED
cdef int _UNSURE


@cython.final
cdef class Fallbacks:
    cdef frozenset _intents
    cdef object _in_words
    cdef object _in_latin
    cdef Reader _reader
    cdef readonly dict _known

    cpdef bint is_fallback_intent(self, str name)
    @cython.locals(found=cython.int)
    cpdef bint could_not_help(self, str text)
    cdef bint _read(self, str text)
