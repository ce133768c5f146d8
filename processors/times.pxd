# Types for times.py, which is compiled where a C compiler is, and means the same without.

cimport cython
from cpython.datetime cimport datetime as Time

cdef object _UTC
cdef object _TIME
cdef int _FEBRUARY
cdef int _EPOCH
cdef int[::1] _MONTHS


cpdef list milliseconds(object times)
cdef bint _is_utc(Time at) noexcept
@cython.locals(year=cython.int, before=cython.int, day=cython.longlong, seconds=cython.longlong)
cdef long long _counted(Time at) noexcept
