"""Entry points for mitmproxy: `mitmdump -s addons/record.py`. Nothing imports this package."""
