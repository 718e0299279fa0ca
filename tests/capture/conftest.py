"""What the tests of this room share."""

import warnings

with warnings.catch_warnings():
    # mitmproxy's filter language still uses pyparsing's old names
    warnings.simplefilter("ignore", DeprecationWarning)
    import mitmproxy.flowfilter  # noqa: F401
