"""Print the tests that were skipped and fail on any that the list does not name: ``skips.py JUNIT.xml LIST``.

A line without brackets stands for the test under all its parameters.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

junit, listed = sys.argv[1:]
allowed = {line.split("#")[0].strip() for line in Path(listed).read_text().splitlines()} - {""}
cases = list(ET.parse(junit).getroot().iter("testcase"))
skipped = {f"{case.get('classname')}::{case.get('name')}": case for case in cases if case.find("skipped") is not None}
for name, case in sorted(skipped.items()):
    print(f"skipped: {name}: {case.find('skipped').get('message')}")
failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
print(f"{len(cases) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped")
unlisted = sorted(name for name in skipped if name not in allowed and name.split("[")[0] not in allowed)
if unlisted or not cases:
    sys.exit(f"not in {listed}: {', '.join(unlisted)}" if unlisted else "no test ran")
