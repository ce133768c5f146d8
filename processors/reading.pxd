# Types for reading.py, which is compiled where a C compiler is, and means the same without.

cimport cython

cdef int _UNSURE
cdef unsigned int _STOP
cdef unsigned int _MORE
cdef unsigned int _SEPARATOR
cdef unsigned int _NOTHING
cdef unsigned int _DOUBLED
cdef unsigned int _SELECTOR
cdef unsigned int _DEPENDS
cdef unsigned int _END
cdef unsigned int _PICTURES
cdef unsigned int _PICTURES_END
cdef unsigned int _VARIATION
cdef unsigned int _SLASH
cdef unsigned int _S
cdef int _LONGEST
cdef unsigned int _WORDS


@cython.final
cdef class Reader:
    cdef unsigned short[::1] _kinds
    cdef unsigned short[::1] _letters
    cdef unsigned int[::1] _rows
    cdef unsigned int _start
    cdef unsigned int _s
    cdef unsigned char[::1] _bytes
    cdef bytearray _whole
    cdef unsigned char[::1] _sorted
    cdef unsigned short[::1] _starts
    cdef unsigned short[::1] _ends
    cdef unsigned short[::1] _order
    cdef unsigned int _begun
    cdef unsigned int _words
    cdef unsigned int _kept
    cdef unsigned int _more

    @cython.locals(
        state=cython.uint, kind=cython.uint, parted=cython.bint, selected=cython.bint, character=cython.Py_UCS4
    )
    cpdef int finds(self, str text) except -2
    @cython.locals(
        state=cython.uint, kind=cython.uint, code=cython.uint, parted=cython.bint, selected=cython.bint,
        character=cython.Py_UCS4, length=cython.uint, word=cython.uint
    )
    cpdef str sorted_words(self, str text)
    cdef unsigned int _kind(self, unsigned int code) noexcept
    cdef unsigned int _write(self, unsigned int code, unsigned int length) noexcept
    cdef bint _end_word(self, unsigned int said, unsigned int length) noexcept
    @cython.locals(place=cython.uint)
    cdef void _insert(self, unsigned int word) noexcept
    @cython.locals(at=cython.uint, end=cython.uint, there=cython.uint, there_end=cython.uint)
    cdef bint _is_before(self, unsigned int one, unsigned int other) noexcept
    @cython.locals(length=cython.uint, place=cython.uint, at=cython.uint)
    cdef str _joined(self)
