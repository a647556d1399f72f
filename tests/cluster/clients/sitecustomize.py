"""Lets kafka-python 1.4 and 2.0 start on Python >= 3.12, which cannot import the old `six` inside them.

Python imports this module by itself at start; the user's code stays as it is.
"""

import sys

if sys.version_info >= (3, 12):
    import six

    sys.modules["kafka.vendor.six"] = six
    sys.modules["kafka.vendor.six.moves"] = six.moves
