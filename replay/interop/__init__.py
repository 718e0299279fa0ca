"""Other tools' formats, in and out. One folder or module each: `mitm` for mitmproxy's flow files."""
