"""Joins the pages of an answer that a forge's program prints one after the other: arrays on stdin, one array on stdout."""

import json
import sys

text, found = sys.stdin.read().strip(), []
while text:
    page, end = json.JSONDecoder().raw_decode(text)
    found += page
    text = text[end:].lstrip()
json.dump(found, sys.stdout)
