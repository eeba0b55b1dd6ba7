"""The files of a new limits repository, as ``amsctl init`` writes them: sound manifests in canonical form, and a pipeline that reviews them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_PROJECT: Final = """\
# What this repository manages, and where. Every key: docs/reference.
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts, profiles]
  ownership: [ef, cmf]                # the sides that your API ID may write
  unsetMeans: unlimited               # what "no limit set" lets through at your firm: unlimited or blocked
  undeclared: report                  # live rows that no manifest names: ignore, report or unset
  defaultEnvironment: sandbox
  environments:
    # amsctl sandbox serves this one
    sandbox:
      url: http://127.0.0.1:8480/rest/v2
      auth: {type: none}
    # CME's certification environment; the credentials are read from the environment
    new-release:
      url: https://amsapinr.cmegroup.com/rest/v2
      auth:
        type: oauth2
        tokenUrl: https://authnr.cmegroup.com/as/token.oauth2
        clientId: "${AMS_API_ID}"
        clientSecret: "${AMS_API_SECRET}"
      protected: true                 # apply wants a saved plan
"""

_ACCOUNT: Final = """\
# One account. What is not written here is left as it is.
apiVersion: amsctl/v1
kind: Account
metadata:
  clearingFirm: GREENTEA_API_CLEARING2  # name or clearing id
  accountNumber: DV10121801A
  labels: {desk: softs}
spec:
  executionFirms:
    3N1:
      profiles: [softs]
      limits:
        CJ.FUT.NYMEX:                 # wins over the profile
          ef: {long: 324, short: 567}
"""

_PROFILE: Final = """\
# Limits that several accounts share.
apiVersion: amsctl/v1
kind: LimitProfile
metadata: {name: softs}
spec:
  limits:
    CJ.FUT.NYMEX: {ef: {long: 300, short: 300}}
    CC.FUT.NYMEX: {ef: {long: 100, short: 100}}
"""

_PIPELINE: Final = """\
# Every change is checked on its pull request and planned once it is merged. Applying is left to a person until you decide otherwise.
name: limits
on:
  pull_request:
  push:
    branches: [main]
permissions:
  contents: read
concurrency:
  group: limits-${{ github.ref }}
jobs:
  validate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
        with:
          persist-credentials: false
      - run: pipx install amsctl
      - run: amsctl fmt --check
      - run: amsctl validate
  plan:
    # pull requests from forks have no credentials: only what is merged is planned here
    if: github.event_name == 'push'
    needs: validate
    runs-on: ubuntu-latest
    environment: new-release
    steps:
      - uses: actions/checkout@v6
        with:
          persist-credentials: false
      - run: pipx install amsctl
      - run: amsctl -e new-release plan -o limits.plan.json
        env:
          AMS_API_ID: ${{ secrets.AMS_API_ID }}
          AMS_API_SECRET: ${{ secrets.AMS_API_SECRET }}
      - uses: actions/upload-artifact@v7
        with:
          name: limits.plan.json
          path: limits.plan.json
"""

_IGNORE: Final = """\
.amsctl/
plan.json
*.plan.json
report.json
*.report.json
events.jsonl
*.events.jsonl
.env
"""

_README: Final = """\
# Limits

Pre-trade limits (CME Globex, Inline Credit Controls) as reviewed text.

```
amsctl validate      # offline: syntax and meaning
amsctl plan          # what would change; only reads
amsctl apply         # shows the plan, asks, applies, verifies
```

To rehearse without CME, run `amsctl sandbox` in a second terminal: the default environment points at it.

- `amsctl.yaml` says where the limits go and which side of them is ours.
- `accounts/` holds one file for each account, `profiles/` limits that accounts share.
- What is not written is not managed: a missing leg is never zero and never a deletion.
- `PRODUCT: unset` says that a row must not exist. Depending on your firm's policy that may let everything through.

Credentials never stand in this repository: `${AMS_API_ID}` and `${AMS_API_SECRET}` are read from the environment.
"""

FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".github/workflows/limits.yml": _PIPELINE,
        ".gitignore": _IGNORE,
        "README.md": _README,
        "accounts/dv10121801a.yaml": _ACCOUNT,
        "amsctl.yaml": _PROJECT,
        "profiles/softs.yaml": _PROFILE,
    }
)
"""Relative path to text."""
