"""CRC-32: zlib's, or ISA-L's where the package ``isal`` is installed.

Both give the same; ISA-L's takes a fraction of the time.
"""

try:
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

__all__ = ["crc32"]
