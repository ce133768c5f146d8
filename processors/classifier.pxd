# Types for classifier.py, which is compiled where a C compiler is, and means the same without.

cimport cython


@cython.final
cdef class Classifier:
    cdef list _codes
    cdef unsigned int[::1] _next
    cdef int[::1] _row
    cdef int[::1] _feature
    cdef float[:, ::1] _table
    cdef double[::1] _prior

    cpdef str classify(self, str text)

    @cython.locals(state=cython.uint, feature=cython.int, byte=cython.uchar, counts=dict)
    cdef dict _counts(self, bytes text)
    @cython.locals(
        sums="double[::1]", weight=cython.double, feature=cython.int, language=cython.int, languages=cython.int,
        last=cython.int, count=cython.int
    )
    cdef list _scores(self, dict counts)
