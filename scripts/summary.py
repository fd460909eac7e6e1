#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up JUnit files of a folder: failures with their output, skips with their reason, one closing line."""
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def cases(folder):
    for path in sorted(Path(folder).glob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            yield path.stem, case


def reason(case, skipped):
    output = case.findtext("system-out") or ""
    lines = [line for line in output.splitlines() if "skip" in line.lower()]
    return (lines[-1] if lines else skipped.get("message") or "no reason given").strip()


def main():
    passed = failed = skipped = 0
    for kind, case in cases(sys.argv[1]):
        name = f"{kind}: {case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skip = case.find("skipped")
        if bad is not None or case.get("status") == "fail":
            failed += 1
            print(f"FAILED {name}")
            if kind == "ctest":
                print((case.findtext("system-out") or "")[-6000:])
        elif skip is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
            print(f"skipped {name}: {reason(case, skip if skip is not None else case)}")
        else:
            passed += 1
    if passed + failed == 0:
        print("no test ran")
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
