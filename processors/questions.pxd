# Types for questions.py, which is compiled where a C compiler is, and means the same without.

cimport cython

from processors.reading cimport Reader

cdef bint _COMPILED


@cython.final
cdef class Questions:
    cdef frozenset _stop_words
    cdef dict _small_talk
    cdef Reader _reader
    cdef readonly dict _known

    @cython.locals(known=tuple, words=str)
    cpdef str key(self, str text, str message_id, object is_question)
    @cython.locals(words=list, kept=list, word=str)
    cdef tuple _read(self, str text)
    @cython.locals(start=cython.Py_ssize_t, phrase=list)
    cdef bint _is_small_talk(self, list words)
