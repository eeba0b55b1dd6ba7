"""The files of a new limits repository, as ``amsctl init`` writes them: sound manifests in canonical form, and a pipeline that reviews and applies them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from amsctl.resources import pipeline_lock, pipeline_text
from amsctl.version import version

_PROJECT: Final = """\
# What this repository manages, and where. Every key: docs/reference.
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts, profiles]
  ownership: [ef, cmf]                # the sides that your API ID may write
  unsetMeans: unlimited               # what "no limit set" lets through: unlimited or blocked
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
    # CME's production, when the certification environment is as planned: fill in its address
    # production:
    #   url: https://HOST-OF-PRODUCTION/rest/v2
    #   auth:
    #     type: oauth2
    #     tokenUrl: https://AUTH-HOST-OF-PRODUCTION/as/token.oauth2
    #     clientId: "${AMS_API_ID}"
    #     clientSecret: "${AMS_API_SECRET}"
    #   protected: true
"""

_LEDGER: Final = """\
  # The record of every write. In a pipeline AMS_LEDGER_URL must name one that outlives the job:
  # postgresql://USER:PASSWORD@HOST/NAME, or sqlite:////a/file/outside/of/the/checkout.
  # By hand, without the variable, it is .amsctl/ledger.db.
  ledger: {url: "${AMS_LEDGER_URL}"}
"""

HASH_TO_COME: Final = "HASH-OF-THE-WHEEL-OF-AMSCTL"
"""Stands in the lock of a new repository where a person must write what the release says; the set-up refuses it."""
_LOCK: Final = f"""\
# What the pipeline installs beside the credentials: these versions, and only files with these
# hashes (pip install --require-hashes). amsctl itself: write the SHA-256 of its wheel, as the
# release tells it, in place of {HASH_TO_COME}. Until then the set-up installs
# nothing. amsctl init writes the rest anew for every version.
amsctl==VERSION \\
    --hash=sha256:{HASH_TO_COME}
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

_GITHUB: Final = """\
# A pull request is planned and commented on; what is merged to main is applied with the plan that
# was reviewed; drift is looked for every morning.
# To edit: environment (three times) and clearing-firm below; pipeline.lock.
# Secrets: AMS_API_ID and AMS_API_SECRET, for applying those of the environment new-release, and
# AMS_LEDGER_URL, where the record of every write is kept.
# docs/howto/pipeline.md of amsctl tells more.
name: limits
on:
  pull_request:
  push:
    branches: [main]
  schedule:
    - cron: "17 6 * * 1-5"
permissions: {}
jobs:
  plan:
    if: github.event_name == 'pull_request'
    uses: $/.github/workflows/limits-plan.yml
    permissions:
      contents: read
      pull-requests: write # the comment, written by a job of its own
    with:
      environment: new-release
      version: "VERSION"
    secrets:
      AMS_API_ID: ${{ secrets.AMS_API_ID }}
      AMS_API_SECRET: ${{ secrets.AMS_API_SECRET }}
  apply:
    if: github.event_name == 'push'
    uses: $/.github/workflows/limits-apply.yml
    permissions:
      contents: read
      actions: read # the plan that was reviewed
      pull-requests: read # the reviews
    with:
      environment: new-release
      clearing-firm: GREENTEA_API_CLEARING2
      version: "VERSION"
    secrets:
      AMS_API_ID: ${{ secrets.AMS_API_ID }}
      AMS_API_SECRET: ${{ secrets.AMS_API_SECRET }}
      AMS_LEDGER_URL: ${{ secrets.AMS_LEDGER_URL }}
  drift:
    if: github.event_name == 'schedule'
    uses: $/.github/workflows/limits-drift.yml
    permissions:
      contents: read
      issues: write # one issue, by a job of its own
    with:
      environment: new-release
      version: "VERSION"
    secrets:
      AMS_API_ID: ${{ secrets.AMS_API_ID }}
      AMS_API_SECRET: ${{ secrets.AMS_API_SECRET }}
"""

_GITLAB: Final = """\
# A merge request is planned and commented on; what is merged is applied with the plan that was
# reviewed; a pipeline schedule looks for drift.
# To edit: environment (three times) and clearing-firm below; pipeline.lock.
# Variables: AMS_API_ID, AMS_API_SECRET, AMS_LEDGER_URL and AMSCTL_GITLAB_TOKEN, masked and hidden.
# docs/howto/pipeline.md of amsctl tells more.
include:
  - local: .gitlab/amsctl/plan.yml
    inputs: {environment: new-release, version: "VERSION"}
  - local: .gitlab/amsctl/apply.yml
    inputs: {environment: new-release, version: "VERSION", clearing-firm: GREENTEA_API_CLEARING2}
  - local: .gitlab/amsctl/drift.yml
    inputs: {environment: new-release, version: "VERSION"}
"""

_IGNORE: Final = """\
.amsctl/
plan.json
plan.md
plan.html
*.plan.json
*.approval.json
report.json
*.report.json
events.jsonl
*.events.jsonl
.env
*.bak
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
        ".gitignore": _IGNORE,
        "README.md": _README,
        "accounts/dv10121801a.yaml": _ACCOUNT,
        "amsctl.yaml": _PROJECT,
        "profiles/softs.yaml": _PROFILE,
    }
)
"""Relative path to text."""

CI_SYSTEMS: Final = ("github", "gitlab", "none")
"""For which a pipeline can be written."""
_ACTIONS: Final = ("setup", "plan", "apply")
_WORKFLOWS: Final = ("plan", "apply", "drift")


def starter_files(ci: str) -> Mapping[str, str]:
    """The files of a new repository with a pipeline of ``CI_SYSTEMS``, by their paths. The parts of a pipeline are copied in: nothing that is not reviewed
    here runs beside the credentials.
    """
    files = dict(FILES)
    if ci != "none":
        files["amsctl.yaml"] += _LEDGER
        files["pipeline.lock"] = _LOCK.replace("VERSION", version()) + pipeline_lock()
    if ci == "github":
        files[".github/workflows/limits.yml"] = _GITHUB.replace("VERSION", version())
        for name in _ACTIONS:
            files[f".github/actions/{name}/action.yml"] = pipeline_text("github", "actions", name, "action.yml")
        for name in _WORKFLOWS:
            files[f".github/workflows/limits-{name}.yml"] = pipeline_text("github", "workflows", f"limits-{name}.yml")
    elif ci == "gitlab":
        files[".gitlab-ci.yml"] = _GITLAB.replace("VERSION", version())
        for name in _WORKFLOWS:
            files[f".gitlab/amsctl/{name}.yml"] = pipeline_text("gitlab", f"{name}.yml")
    return files


def to_edit(ci: str) -> tuple[str, ...]:
    """The files of a pipeline that a person must fill in before it can run."""
    return {"github": (".github/workflows/limits.yml",), "gitlab": (".gitlab-ci.yml",)}[ci] + ("pipeline.lock", "amsctl.yaml")
